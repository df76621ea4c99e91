// Numbers and times as people read them.
import { expect, test } from 'vitest';
import { assetText, bytes, count, percent, plural, ruleOf, sentence, shortHash, total } from '../../src/show/number';
import { entryName, entryReason, entrySubject } from '../../src/show/entry';
import { blocks, withCommand } from '../../src/show/remedy';
import { ago, dateIn, dayAfter, span, startOf } from '../../src/show/time';
import { actionName } from '../../src/show/words';

test('a missing score is a dash and an imperfect one is never 100', () => {
  expect([null, undefined, 0, 78.57, 100, 99.97, 99.84].map(percent)).toEqual(['–', '–', '0%', '78.6%', '100%', '99.9%', '99.8%']);
});

test('counts', () => {
  expect([count(0), count(1234567), count(null)]).toEqual(['0', '1,234,567', '–']);
  expect([total({ count: 10000, capped: true }), total({ count: 3, capped: false }), total(null)]).toEqual(['10,000+', '3', '']);
  expect([plural(1, 'finding'), plural(2, 'finding'), plural(2, 'entry', 'entries')]).toEqual(['1 finding', '2 findings', '2 entries']);
  expect([bytes(999), bytes(1500), bytes(2_340_000)]).toEqual(['999 B', '1.5 kB', '2.3 MB']);
});

test('names', () => {
  expect(ruleOf('rego/bartizan/k8spspprivileged')).toBe('k8spspprivileged');
  expect(sentence('not_assessed')).toBe('Not assessed');
  expect(sentence('import.report')).toBe('Import report');
  expect(shortHash(`sha256:${'ab'.repeat(32)}`, 6, 4)).toBe('ababab…abab');
  expect(shortHash('short')).toBe('short');
  expect(assetText('cluster:prod/apps/Deployment/shop/cart')).toBe('shop/Deployment/cart');
  expect(assetText({ kind: 'Namespace', name: 'shop', namespace: '' })).toBe('Namespace/shop');
  expect(assetText('something else')).toBe('something else');
  expect([actionName('finding.accepted'), actionName('robot.took_over')]).toEqual(['Finding accepted', 'robot took over']);
});

test('times, before and after now', () => {
  const now = Date.parse('2026-11-21T12:00:00Z');
  const at = (text: string) => ago(text, now);
  expect([at('2026-11-21T11:59:40Z'), at('2026-11-21T11:55:00Z'), at('2026-11-21T09:00:00Z'), at('2026-11-11T12:00:00Z'), at('2026-12-03T12:00:00Z')]).toEqual(['now', '5 min ago', '3 h ago', '10 d ago', 'in 12 d']);
  expect([ago(null), ago('garbage')]).toEqual(['never', 'garbage']);
  expect(at('2026-01-02T12:00:00Z')).toMatch(/^2026-01-0\d$/);
  expect(span('2026-11-21T12:00:00Z', '2026-11-21T12:03:20Z')).toBe('3 min 20 s');
  expect(span('2026-11-21T12:00:01Z', '2026-11-21T12:00:00Z')).toBe('');
});

test('dates of fields', () => {
  expect(dateIn(90, Date.parse('2026-11-21T23:59:00Z'))).toBe('2027-02-19');
  expect(startOf('2026-11-21')).toBe('2026-11-21T00:00:00Z');
  expect([dayAfter('2026-12-31'), dayAfter('x')]).toEqual(['2027-01-01', '']);
});

test('remediation: YAML is code, sentences are not', () => {
  expect(blocks('spec:\n  containers:\n    - name: web   # yours')).toEqual([{ kind: 'code', text: 'spec:\n  containers:\n    - name: web   # yours' }]);
  expect(blocks('Set `privileged: false`. See: the guide.')).toEqual([{ kind: 'text', text: 'Set `privileged: false`. See: the guide.' }]);
  expect(blocks('Do this:\nand that.\n\nspec:\n  a: 1\n\nother:\n  b: 2').map((b) => b.kind)).toEqual(['text', 'code']);
  expect([blocks(''), blocks('hostPID: false')]).toEqual([[], [{ kind: 'code', text: 'hostPID: false' }]]);
});

test('a reason that ends in a command', () => {
  expect(withCommand('chart/a.yaml:1: an unrendered Helm template; run: helm template chart | bartizan scan k8s -')).toEqual({ text: 'chart/a.yaml:1: an unrendered Helm template.', command: 'helm template chart | bartizan scan k8s -' });
  expect(withCommand('It took too long.')).toEqual({ text: 'It took too long.', command: '' });
});

test('audit entries name what they are about', () => {
  const detail = { title: 'Privileged', asset: 'repository:x/apps/Deployment/shop/cart', acceptance: { reason: 'r', owner: 'o', expires: 'e' } };
  expect(entrySubject({ subject: 'f1-x', detail })).toBe('Privileged · shop/Deployment/cart');
  expect(entrySubject({ subject: 'ada', detail: null })).toBe('ada');
  expect(entryReason(detail)).toEqual({ reason: 'r', owner: 'o', expires: 'e' });
  expect(entryReason({ reason: 'why' })).toEqual({ reason: 'why', owner: '', expires: '' });
  expect([entryName({ action: 'session.login', detail: { ok: false } }), entryName({ action: 'session.login', detail: { ok: true } })]).toEqual(['Sign-in refused', 'Sign-in']);
});
