// Proves an audit entry in the browser, step by step, with nothing but the server's answer
// and SHA-256; the server's own verdict is not consulted.
import type { IncludedProof } from '../api/types';
import { canonical } from './canonical';
import { fromHex, hex, utf8 } from './bytes';
import { commitment, included, leafHash, type Step } from './merkle';
import { checkSignature, readCheckpoint, sameRoot } from './note';

export interface Claim {
  name: string;
  state: 'ok' | 'bad' | 'skipped';
  detail: string;
}
export interface Proven {
  ok: boolean;
  claims: Claim[];
  steps: Step[];
}

/** The body's exact bytes: as text they are the canonical JSON already. */
function bodyText(body: unknown): string {
  return typeof body === 'string' ? body : canonical(body);
}

/** Checks body → leaf → root → signed checkpoint. */
export async function prove(proof: IncludedProof, verifierKey: string): Promise<Proven> {
  const claims: Claim[] = [];
  const say = (name: string, state: Claim['state'], detail: string) => claims.push({ name, state, detail });

  const leafThere = proof.leaf_hash;
  const salt = fromHex(proof.entry?.salt ?? '');
  if (!proof.entry || !salt || salt.length === 0) {
    say('The entry is what the log committed to', 'skipped', 'Body and salt were erased; only the leaf can be proven.');
  } else {
    const leaf = hex(await leafHash(await commitment(salt, utf8(bodyText(proof.entry.body)))));
    const ok = leaf === proof.leaf_hash;
    say(
      'The entry is what the log committed to',
      ok ? 'ok' : 'bad',
      ok ? 'SHA-256 over salt and body gives the leaf.' : `Salt and body give leaf ${leaf}, the log has ${proof.leaf_hash}.`,
    );
  }

  const walked = leafThere === null ? { ok: false, steps: [] } : await included(proof.index, proof.tree_size, leafThere, proof.path, proof.root);
  say(
    'The leaf is in the tree',
    walked.ok ? 'ok' : leafThere === null ? 'skipped' : 'bad',
    walked.ok
      ? `${proof.path.length} sibling hashes lead from leaf ${proof.index} to the root of ${proof.tree_size} leaves.`
      : leafThere === null
        ? 'Without the body this leaf is known to the log’s tiles alone; `bartizan ledger verify` walks them.'
        : 'The sibling hashes do not lead to the root.',
  );

  const checkpoint = readCheckpoint(proof.checkpoint);
  const same = checkpoint !== undefined && checkpoint.size === proof.tree_size && sameRoot(checkpoint.root, proof.root);
  say(
    'The root is the one in the checkpoint',
    same ? 'ok' : 'bad',
    same ? `${checkpoint.origin}, size ${checkpoint.size}.` : 'The checkpoint names another size or root.',
  );

  const signed = checkpoint ? await checkSignature(checkpoint, verifierKey) : 'absent';
  const words = {
    good: 'Ed25519 signature by the log’s key, checked here.',
    bad: 'The Ed25519 signature does not fit the checkpoint.',
    absent: 'The checkpoint bears no signature by the log’s key.',
    unsupported: 'This browser cannot check Ed25519; `bartizan ledger verify` can.',
  };
  say('The checkpoint is signed by the log', signed === 'good' ? 'ok' : signed === 'unsupported' ? 'skipped' : 'bad', words[signed]);

  return { ok: walked.ok && claims.every((claim) => claim.state !== 'bad'), claims, steps: walked.steps };
}
