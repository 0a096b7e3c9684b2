// The helpers of an outlined handler: each is in its module if it asks for it.

import { I32, I64, type Module } from "./binary.js";
import type { Helpers } from "./function.js";
import { placeHelper } from "./memory-access.js";

export class HelperFunctions implements Pick<Helpers, "place"> {
  private placeAt: number | undefined;

  constructor(private readonly module: Module) {}

  get place(): number {
    this.placeAt ??= this.module.function([I32, I64, I64, I64], [I32], null, placeHelper());
    return this.placeAt;
  }
}
