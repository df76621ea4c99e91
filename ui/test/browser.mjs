// Does each page's job in a real browser, against BARTIZAN_URL (with BARTIZAN_USER and
// BARTIZAN_PASSWORD) or, without it, against the mock. Pictures go to the folder SCREENSHOTS.
import { Harness } from './browser/harness.mjs';
import { signIn } from './browser/sign-in.mjs';
import { overview } from './browser/overview.mjs';
import { admission } from './browser/admission.mjs';
import { findings } from './browser/findings.mjs';
import { hosts } from './browser/hosts.mjs';
import { evidence } from './browser/evidence.mjs';
import { system } from './browser/system.mjs';
import { ask } from './browser/ask.mjs';
import { systems } from './browser/systems.mjs';
import { vulnerabilities } from './browser/vulnerabilities.mjs';
import { inventories } from './browser/inventories.mjs';
import { states } from './browser/states.mjs';

const real = process.env.BARTIZAN_URL;
const mock = real ? undefined : await (await import('../dev/mock.mjs')).startMock();
const person = { name: process.env.BARTIZAN_USER ?? (real ? 'admin' : 'first'), password: process.env.BARTIZAN_PASSWORD ?? 'one-time-secret' };
const harness = new Harness((real ?? mock.url).replace(/\/$/, ''));
await harness.start();
try {
  for (const part of [signIn, overview, vulnerabilities, ask, findings, evidence, hosts, systems, admission, system, inventories, states]) await part(harness, person, { real: Boolean(real) });
} finally {
  await harness.stop();
  await mock?.stop();
}
console.log(`${harness.passed} passed, ${harness.failed} failed`);
process.exit(harness.failed > 0 || harness.passed === 0 ? 1 : 0);
