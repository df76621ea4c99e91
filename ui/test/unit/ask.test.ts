import { expect, test } from 'vitest';
import { EventCutter, bare, counted, grown, nothingYet, partsOf } from '../../src/ask/stream';

test('events are the same however the body is cut', () => {
  const body = 'event: sentence\ndata: {"a":1}\n\n: ping\n\nevent: done\r\ndata: x\r\ndata: y\r\n\r\n';
  for (const size of [1, 2, 5, 100]) {
    const cutter = new EventCutter();
    const events = [];
    for (let at = 0; at < body.length; at += size) events.push(...cutter.push(body.slice(at, at + size)));
    expect(events, String(size)).toEqual([
      { name: 'sentence', data: '{"a":1}' },
      { name: 'done', data: 'x\ny' },
    ]);
  }
});

test('only what is cited becomes a citation', () => {
  expect(partsOf('A [x] fault in a. [CVE-2024-1, GHSA-a] And [CVE-9].', ['CVE-2024-1'])).toEqual([
    { text: 'A [x] fault in a.' },
    { cite: 'CVE-2024-1' },
    { cite: 'GHSA-a' },
    { text: ' And [CVE-9].' },
  ]);
});

test('a record of a feed leads to what it is about', () => {
  expect(bare('debian-tracker:CVE-2024-3094')).toBe('CVE-2024-3094');
  for (const id of ['CVE-2024-3094', 'RHSA-2024:1234', 'GHSA-rxwq-x6h5-x525']) expect(bare(id)).toBe(id);
});

test('an answer grows and counts what was left out', () => {
  let answer = nothingYet('q');
  answer = grown(answer, { event: 'sentence', text: 't', cites: ['a'] });
  answer = grown(answer, { event: 'dropped', why: 'w' });
  answer = grown(answer, { event: 'dropped', why: 'w' });
  answer = grown(answer, { event: 'done', outcome: 'answered', by: 'records', unknown: [] });
  expect(answer.sentences).toHaveLength(1);
  expect(counted(answer.dropped)).toEqual([{ why: 'w', times: 2 }]);
  expect(answer.outcome).toBe('answered');
});
