// Numbers and names for people.

const GROUPED = new Intl.NumberFormat('en-GB');

/** `12 345` with thin grouping as English writes it. */
export function count(n: number | null | undefined): string {
  return n === null || n === undefined ? '–' : GROUPED.format(n);
}

/** A total that may have been cut: `10,000+`. */
export function total(of: { count: number; capped: boolean } | null | undefined): string {
  return of ? count(of.count) + (of.capped ? '+' : '') : '';
}

/** `78.57 %` shown with at most one decimal; a missing score is a dash, never zero. */
export function percent(value: number | null | undefined): string {
  if (value === null || value === undefined) return '–';
  // Rounding must not make a score perfect that is not.
  const shown = value > 99.9 && value < 100 ? 99.9 : Math.round(value * 10) / 10;
  return `${shown}%`;
}

/** `3 findings`, `1 finding`. */
export function plural(n: number, one: string, many: string = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

/** The rule of a check uid: `rego/bartizan/x` is `x`. */
export function ruleOf(uid: string): string {
  return uid.slice(uid.lastIndexOf('/') + 1);
}

/** A long hash, cut in its middle. */
export function shortHash(hash: string, head = 10, tail = 6): string {
  const bare = hash.replace(/^sha256:/, '');
  return bare.length <= head + tail + 1 ? bare : `${bare.slice(0, head)}…${bare.slice(-tail)}`;
}

/** `not_assessed` is `Not assessed`. */
export function sentence(word: string): string {
  const text = word.replace(/[._]/g, ' ');
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** `1.2 MB`. */
export function bytes(n: number): string {
  if (n < 1000) return `${n} B`;
  if (n < 1_000_000) return `${Math.round(n / 100) / 10} kB`;
  return `${Math.round(n / 100_000) / 10} MB`;
}

/** `shop/Deployment/cart` of an asset, or the uid itself. */
export function assetText(asset: string | { kind: string; name: string; namespace: string }): string {
  if (typeof asset !== 'string') return [asset.namespace, asset.kind, asset.name].filter(Boolean).join('/');
  const parts = asset.split('/');
  return parts.length >= 5 ? [parts[3], parts[2], parts.slice(4).join('/')].filter(Boolean).join('/') : asset;
}
