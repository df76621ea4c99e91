// Merkle proofs, commitments, canonical JSON and checkpoints, against values of their
// specifications and against the mock's own log, which is written the other way round.
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
// @ts-expect-error The mock is plain JavaScript.
import { Log } from '../../dev/mock/log.mjs';
import type { IncludedProof } from '../../src/api/types';
import { decodeToken } from '../../src/attest/token';
import { canonical } from '../../src/proof/canonical';
import { fromBase64, fromHex, hex, utf8 } from '../../src/proof/bytes';
import { included, leafHash, walk } from '../../src/proof/merkle';
import { checkSignature, readCheckpoint, readVerifierKey } from '../../src/proof/note';
import { prove } from '../../src/proof/prove';

const sha = (...parts: Uint8Array[]) => createHash('sha256').update(Buffer.concat(parts)).digest();

/** Root and path by the recursive definition of RFC 9162. */
function root(leaves: Buffer[]): Buffer {
  if (leaves.length === 1) return leaves[0] as Buffer;
  const k = 2 ** Math.floor(Math.log2(leaves.length - 1));
  return sha(Uint8Array.of(1), root(leaves.slice(0, k)), root(leaves.slice(k)));
}
function pathOf(index: number, leaves: Buffer[]): Buffer[] {
  if (leaves.length === 1) return [];
  const k = 2 ** Math.floor(Math.log2(leaves.length - 1));
  return index < k
    ? [...pathOf(index, leaves.slice(0, k)), root(leaves.slice(k))]
    : [...pathOf(index - k, leaves.slice(k)), root(leaves.slice(0, k))];
}

test('the leaf hash of RFC 6962', async () => {
  expect(hex(await leafHash(utf8('')))).toBe('6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d');
});

test('every leaf of every tree up to 40 leaves is proven, and no other', async () => {
  for (let size = 1; size <= 40; size++) {
    const leaves = Array.from({ length: size }, (_, i) => sha(Uint8Array.of(0), utf8(`entry ${i}`)));
    const top = root(leaves).toString('hex');
    for (let index = 0; index < size; index++) {
      const leaf = (leaves[index] as Buffer).toString('hex');
      const path = pathOf(index, leaves).map((h) => h.toString('hex'));
      const good = await included(index, size, leaf, path, top);
      expect([size, index, good.ok, good.steps.length]).toEqual([size, index, true, path.length]);
      expect((await included((index + 1) % (size + 1), size, leaf, path, top)).ok, `index ${index} of ${size}`).toBe(false);
      expect((await included(index, size, leaf, [...path, leaf], top)).ok).toBe(false);
      if (path.length) {
        expect((await included(index, size, leaf, path.slice(1), top)).ok).toBe(false);
        const [first, ...rest] = path as [string, ...string[]];
        const flipped = (first.startsWith('0') ? '1' : '0') + first.slice(1);
        expect((await included(index, size, leaf, [flipped, ...rest], top)).ok).toBe(false);
      }
    }
  }
});

test('hostile numbers and texts are refused, not followed', async () => {
  const leaf = fromHex('00'.repeat(32));
  if (!leaf) throw new Error('hex');
  for (const [index, size] of [[-1, 1], [1, 1], [0.5, 2], [0, 0], [0, 2 ** 60], [NaN, 2]] as const) expect(await walk(index, size, leaf, [])).toBeUndefined();
  expect(await walk(0, 2, leaf, [new Uint8Array(31)])).toBeUndefined();
  expect((await included(0, 1, 'zz', [], 'zz')).ok).toBe(false);
  expect([fromHex('0'), fromHex('AB'), fromBase64('AA'), fromBase64('!!!!')]).toEqual([undefined, undefined, undefined, undefined]);
});

test('canonical JSON as RFC 8785 has it', () => {
  const value: unknown = JSON.parse('{"\\u20ac":1,"\\r":2,"\\ufb33":3,"1":4,"\\ud83d\\ude00":5,"\\u0080":6,"\\u00f6":7}');
  expect(canonical(value)).toBe('{"\\r":2,"1":4,"\u0080":6,"ö":7,"€":1,"😀":5,"\ufb33":3}');
  expect(canonical({ b: [1e30, 4.5, 0.002, null, true], a: { d: '\u000f', c: '"\\' } })).toBe('{"a":{"c":"\\"\\\\","d":"\\u000f"},"b":[1e+30,4.5,0.002,null,true]}');
});

test('the key and the note of the C2SP specification', async () => {
  const key = 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k';
  expect((await readVerifierKey(key))?.keyId).toBe('530d903a');
  expect(await readVerifierKey(key.replace('530d', '530e'))).toBeUndefined();
  expect(readCheckpoint('no signature')).toBeUndefined();
  expect(readCheckpoint('o\n01\nroot\n\n')).toBeUndefined();
});

async function sample(): Promise<{ proof: IncludedProof; key: string; log: InstanceType<typeof Log> }> {
  const log = new Log();
  for (let i = 0; i < 21; i++) log.append('2026-11-21T10:00:00Z', 'ada', 'finding.opened', `f1-${i}`, { n: i, 'ü': [1, 2.5] });
  log.seal('2026-11-21T10:00:01Z');
  return { proof: log.proof(log.entries[17]) as IncludedProof, key: log.publicKey as string, log };
}

test('an entry is proven from its body to the signature', async () => {
  const { proof, key } = await sample();
  const proven = await prove(proof, key);
  expect(proven.claims.map((claim) => claim.state)).toEqual(['ok', 'ok', 'ok', 'ok']);
  expect(proven.ok).toBe(true);
  // A body that arrives as an object stands for the same bytes.
  const asObject = { ...proof, entry: { salt: proof.entry?.salt ?? '', body: JSON.parse(String(proof.entry?.body)) as unknown } };
  expect((await prove(asObject, key)).ok).toBe(true);
});

test('each altered part is found, and named', async () => {
  const { proof, key } = await sample();
  const states = async (changed: Partial<IncludedProof>, by = key) => (await prove({ ...proof, ...changed }, by)).claims.map((claim) => claim.state).join(' ');
  const entry = { salt: proof.entry?.salt ?? '', body: String(proof.entry?.body) };
  expect(await states({ entry: { ...entry, body: entry.body.replace('ada', 'bob') } })).toBe('bad ok ok ok');
  expect(await states({ entry: { ...entry, salt: '00'.repeat(32) } })).toBe('bad ok ok ok');
  expect(await states({ index: 16 })).toBe('ok bad ok ok');
  expect(await states({ root: '00'.repeat(32) })).toBe('ok bad bad ok');
  expect(await states({ checkpoint: proof.checkpoint.replace('\n21\n', '\n22\n') })).toBe('ok ok bad bad');
  expect(await states({}, (await sample()).key)).toBe('ok ok ok bad');
  expect(await states({}, 'nonsense')).toBe('ok ok ok skipped');
});

test('an erased entry is neither proven nor called false', async () => {
  const { proof, key } = await sample();
  const proven = await prove({ ...proof, entry: null, leaf_hash: null }, key);
  expect(proven.claims.map((claim) => claim.state)).toEqual(['skipped', 'skipped', 'ok', 'ok']);
  expect(proven.ok).toBe(false);
});

test('a good signature over another text is bad', async () => {
  const { proof, key } = await sample();
  const checkpoint = readCheckpoint(proof.checkpoint);
  if (!checkpoint) throw new Error('checkpoint');
  expect(await checkSignature(checkpoint, key)).toBe('good');
  expect(await checkSignature({ ...checkpoint, text: `${checkpoint.text} ` }, key)).toBe('bad');
});

test('a pasted token is read, not believed', () => {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  expect(decodeToken(` ${part({ alg: 'ES256' })}.${part({ sub: 'ü' })}.sig `)).toEqual({ header: { alg: 'ES256' }, claims: { sub: 'ü' } });
  for (const bad of ['', 'a.b', 'a.b.c', `${part([])}.${part({})}.x`, `${part(1)}.${part(2)}.x`]) expect(decodeToken(bad)).toBeUndefined();
});
