// A real Merkle log with signed checkpoints and real JWT keys, so that proofs and attestations
// of the mock verify (and, when tampered with, do not).
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto';

const sha = (...parts) => createHash('sha256').update(Buffer.concat(parts.map((p) => Buffer.from(p)))).digest();
const leafOf = (entry) => sha([0], entry);
const nodeOf = (a, b) => sha([1], a, b);

export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value && typeof value === 'object') return `{${Object.keys(value).sort().map((k) => `${JSON.stringify(k)}:${canonical(value[k])}`).join(',')}}`;
  return JSON.stringify(value);
}

export class Log {
  origin = 'bartizan.example/default';
  entries = [];
  leaves = [];
  sealed = 0;
  checkpointAt = null;
  cache = new Map();

  constructor() {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    this.key = privateKey;
    const raw = Buffer.concat([Buffer.from([1]), publicKey.export({ format: 'der', type: 'spki' }).subarray(-32)]);
    this.keyId = sha(`${this.origin}\n`, raw).subarray(0, 4);
    this.publicKey = `${this.origin}+${this.keyId.toString('hex')}+${raw.toString('base64')}`;
  }

  append(at, actor, action, subject, detail = {}) {
    const body = canonical({ tenant: 'default', at, actor, action, subject, detail });
    const salt = randomBytes(32);
    const commitment = Buffer.concat([Buffer.from('btz1'), sha('bartizan ledger entry v1\n', salt, body)]);
    const entry = { entry_id: `e${String(this.entries.length).padStart(8, '0')}`, at, actor, action, subject, detail, body, salt: salt.toString('hex'), index: this.entries.length };
    this.entries.push(entry);
    this.leaves.push(leafOf(commitment));
    return entry;
  }

  seal(at) {
    this.sealed = this.entries.length;
    this.checkpointAt = at;
  }

  place(entry) {
    return entry.index < this.sealed ? { state: 'included', index: entry.index } : { state: 'pending', index: null };
  }

  root(from = 0, to = this.sealed) {
    if (to === from) return sha('');
    if (to - from === 1) return this.leaves[from];
    const key = `${from}-${to}`;
    const held = this.cache.get(key);
    if (held) return held;
    let k = 1;
    while (k * 2 < to - from) k *= 2;
    const hash = nodeOf(this.root(from, from + k), this.root(from + k, to));
    this.cache.set(key, hash);
    return hash;
  }

  path(index, from = 0, to = this.sealed) {
    if (to - from <= 1) return [];
    let k = 1;
    while (k * 2 < to - from) k *= 2;
    return index < from + k
      ? [...this.path(index, from, from + k), this.root(from + k, to)]
      : [...this.path(index, from + k, to), this.root(from, from + k)];
  }

  checkpoint() {
    const text = `${this.origin}\n${this.sealed}\n${this.root().toString('base64')}\n`;
    const signature = Buffer.concat([this.keyId, sign(null, Buffer.from(text), this.key)]);
    return `${text}\n\u2014 ${this.origin} ${signature.toString('base64')}\n`;
  }

  proof(entry) {
    if (entry.index >= this.sealed) return { state: 'pending' };
    return {
      state: 'included', index: entry.index, tree_size: this.sealed, leaf_hash: this.leaves[entry.index].toString('hex'),
      root: this.root().toString('hex'), path: this.path(entry.index).map((h) => h.toString('hex')),
      checkpoint: this.checkpoint(), entry: { body: entry.body, salt: entry.salt }, verified: true,
    };
  }
}

const ALGS = {
  RS256: { make: () => generateKeyPairSync('rsa', { modulusLength: 2048 }), hash: 'sha256', options: {} },
  ES256: { make: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }), hash: 'sha256', options: { dsaEncoding: 'ieee-p1363' } },
  EdDSA: { make: () => generateKeyPairSync('ed25519'), hash: null, options: {} },
};
const b64 = (x) => Buffer.from(x).toString('base64url');

export class Signer {
  keys = [];

  rotate(at) {
    for (const key of this.keys) if (key.active) Object.assign(key, { active: false, retired: at });
    for (const [alg, { make }] of Object.entries(ALGS)) {
      const { privateKey, publicKey } = make();
      const jwk = publicKey.export({ format: 'jwk' });
      this.keys.push({ kid: sha(canonical(jwk)).toString('base64url').slice(0, 16), alg, created: at, retired: null, active: true, privateKey: createPrivateKey(privateKey.export({ format: 'pem', type: 'pkcs8' })), jwk });
    }
  }

  sign(alg, claims) {
    const key = this.keys.find((k) => k.active && k.alg === alg);
    const head = `${b64(JSON.stringify({ alg, kid: key.kid, typ: 'JWT' }))}.${b64(JSON.stringify(claims))}`;
    return { kid: key.kid, token: `${head}.${b64(sign(ALGS[alg].hash, Buffer.from(head), { key: key.privateKey, ...ALGS[alg].options }))}` };
  }

  jwks() {
    return { keys: this.keys.map((k) => ({ ...k.jwk, kid: k.kid, alg: k.alg, use: 'sig' })) };
  }

  verify(token, log) {
    const checks = [];
    const say = (name, ok, detail) => (checks.push({ name, ok, detail }), ok);
    const parts = token.split('.');
    let header, claims;
    try {
      [header, claims] = parts.slice(0, 2).map((p) => JSON.parse(Buffer.from(p, 'base64url').toString()));
    } catch {
      say('form', false, 'Not a compact JWT.');
      return { valid: false, checks, claims: null };
    }
    say('form', parts.length === 3, 'A compact JWT of three parts.');
    const key = this.keys.find((k) => k.kid === header.kid);
    if (!say('key', Boolean(key && key.alg === header.alg), key ? `Key ${key.kid}, ${key.active ? 'active' : 'retired'}.` : `Key ${header.kid} is not in the key set.`)) return { valid: false, checks, claims };
    const { hash, options } = ALGS[key.alg];
    const good = verify(hash, Buffer.from(`${parts[0]}.${parts[1]}`), { key: createPublicKey({ key: key.jwk, format: 'jwk' }), ...options }, Buffer.from(parts[2], 'base64url'));
    say('signature', good, good ? `${key.alg} over header and claims.` : 'The signature does not fit the token: a byte was altered.');
    say('time', claims.exp * 1000 > Date.now(), `Valid until ${new Date(claims.exp * 1000).toISOString()}.`);
    const known = log.entries[claims.ledger?.index];
    say('inclusion', Boolean(known && known.subject === claims.jti), known ? `Leaf ${claims.ledger.index} leads to the checkpoint of ${claims.ledger.size} leaves.` : 'No inclusion proof.');
    return { valid: checks.every((c) => c.ok), checks, claims };
  }
}
