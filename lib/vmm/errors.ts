/** The machine cannot be as it is wanted, or its guest did what it cannot answer. */
export class MachineError extends Error {
  override readonly name = "MachineError";
}

/** The file is no program that can be loaded; the message says why. */
export class LoadError extends Error {
  override readonly name = "LoadError";
}
