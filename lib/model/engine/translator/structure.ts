// The shape of a region as WebAssembly nests: who dominates whom, which blocks begin loops, and which are reached from
// several places. After N. Ramsey, "Beyond Relooper" (ICFP 2022). A way into the middle of a loop is given up: it leaves
// the region.

import { type Block, type Place, type Region, successors } from "./region.js";

export interface Node {
  readonly block: Block;
  /** In reverse postorder. */
  readonly number: number;
  readonly children: Node[];
  /** Who goes here: forward, and back. */
  forward: number;
  isLoop: boolean;
  /** It may be run again before the region is left. */
  inLoop: boolean;
}

export class Structure {
  /** In reverse postorder; the first is the entry. */
  readonly order: Node[] = [];
  private readonly nodes = new Map<Place, Node>();
  /** Ways that are given up, by the block that they come from. */
  private readonly given: ReadonlyMap<Place, ReadonlySet<Place>>;

  constructor(region: Region) {
    const given = new Map<Place, Set<Place>>();
    let order = postorder(region, given).reverse();
    let dominators = dominatorsOf(order, given);
    while (giveUp(order, dominators, given)) {
      order = postorder(region, given).reverse();
      dominators = dominatorsOf(order, given);
    }
    this.given = given;
    for (const [number, block] of order.entries()) {
      const node = { block, number, children: [], forward: 0, isLoop: false, inLoop: false };
      this.order.push(node);
      this.nodes.set(block.first, node);
    }
    for (const node of this.order) {
      if (node.number > 0) this.order[dominators[node.number]!]!.children.push(node);
      for (const to of successors(node.block)) {
        const next = this.target(node, to);
        if (next === null) continue;
        if (next.number <= node.number) next.isLoop = true;
        else next.forward++;
      }
    }
    for (const node of this.order) if (node.isLoop) this.markLoop(node);
  }

  /** All blocks on a way from the begin of a loop back to it. */
  private markLoop(begin: Node): void {
    const before = this.order.map((): Node[] => []);
    for (const node of this.order)
      for (const to of successors(node.block)) {
        const next = this.target(node, to);
        if (next !== null) before[next.number]!.push(node);
      }
    const back = before[begin.number]!.filter(({ number }) => number >= begin.number);
    const seen = new Set<Node>([begin]);
    for (const node of new Set(back)) {
      const ways = [node];
      for (let way = ways.pop(); way !== undefined; way = ways.pop()) {
        if (seen.has(way)) continue;
        seen.add(way);
        ways.push(...before[way.number]!);
      }
    }
    for (const node of seen) node.inLoop = true;
  }

  /** Where a block goes by this way; null: out of the region. */
  target(from: Node, to: Place): Node | null {
    if (this.given.get(from.block.first)?.has(to) === true) return null;
    return this.nodes.get(to) ?? null;
  }
}

type Edges = Map<Place, Set<Place>>;

function* edges(region: ReadonlyMap<Place, Block>, block: Block, given: Edges): Generator<Block> {
  for (const to of successors(block)) {
    const next = region.get(to);
    if (next !== undefined && given.get(block.first)?.has(to) !== true) yield next;
  }
}

function postorder({ entry, blocks }: Region, given: Edges): Block[] {
  const out: Block[] = [];
  const seen = new Set<Place>();
  const visit = (block: Block): void => {
    seen.add(block.first);
    // The way taken comes later in the code than the way on.
    for (const next of edges(blocks, block, given)) if (!seen.has(next.first)) visit(next);
    out.push(block);
  };
  visit(blocks.get(entry)!);
  return out;
}

/** The immediate dominator of each block, by numbers. After Cooper, Harvey and Kennedy. */
function dominatorsOf(order: readonly Block[], given: Edges): number[] {
  const numbers = new Map(order.map(({ first }, n) => [first, n]));
  const blocks = new Map(order.map((block) => [block.first, block]));
  const before: number[][] = order.map(() => []);
  for (const [n, block] of order.entries())
    for (const next of edges(blocks, block, given)) before[numbers.get(next.first)!]!.push(n);
  const dominators: number[] = order.map((_, n) => (n === 0 ? 0 : -1));
  const common = (a: number, b: number): number => {
    let [x, y] = [a, b];
    while (x !== y) {
      if (x > y) x = dominators[x]!;
      else y = dominators[y]!;
    }
    return x;
  };
  for (let changed = true; changed; ) {
    changed = false;
    for (let n = 1; n < order.length; n++) {
      const known = before[n]!.filter((p) => dominators[p]! >= 0);
      const dominator = known.reduce(common);
      if (dominators[n] === dominator) continue;
      dominators[n] = dominator;
      changed = true;
    }
  }
  return dominators;
}

/** Gives up the ways back that lead to a block which does not dominate their origin; false: there are none. */
function giveUp(order: readonly Block[], dominators: readonly number[], given: Edges): boolean {
  const numbers = new Map(order.map(({ first }, n) => [first, n]));
  const blocks = new Map(order.map((block) => [block.first, block]));
  let any = false;
  for (const [from, block] of order.entries()) {
    for (const next of edges(blocks, block, given)) {
      const to = numbers.get(next.first)!;
      if (to > from) continue;
      let above = from;
      while (above > to) above = dominators[above]!;
      if (above === to) continue;
      const set = given.get(block.first) ?? new Set();
      given.set(block.first, set.add(next.first));
      any = true;
    }
  }
  return any;
}
