// Inclusion proofs of RFC 9162 section 2.1.3.2, and the salted commitment that stands in the
// tree for an audit entry (see crates/ledger).
import { concat, equal, fromHex, hex, sha256, utf8, type Bytes } from './bytes';

const TAG = utf8('btz1');
const DOMAIN = utf8('bartizan ledger entry v1\n');

/** A step of the walk from leaf to root, for showing. */
export interface Step {
  side: 'left' | 'right';
  sibling: string;
  node: string;
}

/** SHA-256(0x00 || entry). */
export async function leafHash(entry: Bytes): Promise<Bytes> {
  return sha256(concat(Uint8Array.of(0), entry));
}

async function nodeHash(left: Bytes, right: Bytes): Promise<Bytes> {
  return sha256(concat(Uint8Array.of(1), left, right));
}

/** What the log holds for a body: "btz1" || SHA-256(domain || salt || body). */
export async function commitment(salt: Bytes, body: Bytes): Promise<Bytes> {
  return concat(TAG, await sha256(concat(DOMAIN, salt, body)));
}

/**
 * Walks from a leaf to the root that the path leads to. `undefined` when index, size and the
 * path's length do not belong together. Indices are bounded by 2^53, far beyond any log here.
 */
export async function walk(
  index: number,
  size: number,
  leaf: Bytes,
  path: Bytes[],
): Promise<{ root: Bytes; steps: Step[] } | undefined> {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size) return undefined;
  let position = index;
  let last = size - 1;
  let node = leaf;
  const steps: Step[] = [];
  for (const sibling of path) {
    if (sibling.length !== 32 || last === 0) return undefined;
    const siblingIsLeft = position % 2 === 1 || position === last;
    node = siblingIsLeft ? await nodeHash(sibling, node) : await nodeHash(node, sibling);
    if (siblingIsLeft) {
      // A node at the right edge moves up until it is somebody's right child.
      while (position % 2 === 0 && position !== 0) {
        position = Math.floor(position / 2);
        last = Math.floor(last / 2);
      }
    }
    position = Math.floor(position / 2);
    last = Math.floor(last / 2);
    steps.push({ side: siblingIsLeft ? 'left' : 'right', sibling: hex(sibling), node: hex(node) });
  }
  return last === 0 ? { root: node, steps } : undefined;
}

/** Whether the path leads from the leaf to the root. All hashes in hexadecimal. */
export async function included(
  index: number,
  size: number,
  leaf: string,
  path: string[],
  root: string,
): Promise<{ ok: boolean; steps: Step[] }> {
  const start = fromHex(leaf);
  const end = fromHex(root);
  const hashes = path.map(fromHex);
  if (!start || !end || hashes.some((hash) => hash === undefined)) return { ok: false, steps: [] };
  const walked = await walk(index, size, start, hashes as Bytes[]);
  return { ok: walked !== undefined && equal(walked.root, end), steps: walked?.steps ?? [] };
}
