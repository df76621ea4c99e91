// The webhook asked as an API server would; its decisions live, its policies, a trial of one.
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { must } from './harness.mjs';

/** Posts a review over TLS by the webhook's own authority; its answer. */
function ask(address, ca, name, privileged) {
  const object = { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'shop' }, spec: { containers: [{ name: 'web', image: 'web:1', securityContext: { privileged } }] } };
  const kind = { group: '', version: 'v1', kind: 'Pod' };
  const resource = { group: '', version: 'v1', resource: 'pods' };
  const review = { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request: { uid: `uid-${name}`, kind, resource, requestKind: kind, requestResource: resource, name, namespace: 'shop', operation: 'CREATE', userInfo: { username: 'alice' }, object, oldObject: null, dryRun: false } };
  return new Promise((done, failed) => {
    const sent = request(`${address}/v1/admit?timeout=10s`, { method: 'POST', ca, headers: { 'content-type': 'application/json' } }, (answer) => {
      let text = '';
      answer.on('data', (part) => (text += part));
      answer.on('end', () => done(JSON.parse(text).response));
    });
    sent.on('error', failed);
    sent.end(JSON.stringify(review));
  });
}

export async function admission(h) {
  const { page } = h;
  const address = process.env.BARTIZAN_WEBHOOK;
  if (!address) return;
  const ca = readFileSync(process.env.BARTIZAN_WEBHOOK_CA);

  await h.step('a decision appears while one looks', async () => {
    await h.open('/admission/decisions', 'main h1');
    await page.getByRole('status').getByText('Live', { exact: true }).waitFor();
    const denied = await ask(address, ca, 'privileged-web', true);
    must(denied.allowed === false && denied.status.code === 403, JSON.stringify(denied));
    const row = page.locator('tbody tr').filter({ hasText: 'privileged-web' });
    await row.waitFor();
    must(/Denied/.test(await row.innerText()), await row.innerText());
    await h.axe('decisions');
    await h.inBothThemes('decisions');
  });

  await h.step('a denial says which value decided, and drafts an exception', async () => {
    await page.locator('tbody tr').filter({ hasText: 'privileged-web' }).getByRole('link').click();
    const panel = page.locator('aside article');
    await panel.getByText('spec.containers[0].securityContext.privileged').first().waitFor();
    await panel.getByRole('button', { name: 'Draft an exception' }).first().click();
    const text = await panel.locator('pre').filter({ hasText: 'PolicyException' }).innerText();
    for (const part of ['kind: PolicyException', '"shop"', 'owner: ""', 'expires: 20']) must(text.includes(part), `the draft lacks ${part}: ${text}`);
    await h.axe('decision');
    await h.inBothThemes('decision');
  });

  await h.step('policies are listed by what they do at the webhook', async () => {
    await h.open('/admission/policies', 'tbody tr.link');
    const all = await page.locator('tbody tr.link').count();
    must(all >= 60, `${all} policies`);
    await page.getByLabel('Search policies').fill('privileged');
    await page.getByRole('link', { name: 'Privileged containers', exact: true }).click();
    await page.locator('aside article').getByText('validation: deny').waitFor();
    await h.axe('policies');
    await h.inBothThemes('policies');
  });

  await h.step('a policy is tried in the playground', async () => {
    await h.open('/admission/playground', 'textarea');
    await page.getByRole('button', { name: 'Judge' }).click();
    const verdicts = page.getByRole('region', { name: 'Verdicts' });
    await verdicts.getByText('the label owner is missing').first().waitFor();
    must((await verdicts.getByText('Allowed').count()) === 1 && (await verdicts.getByText('Denied').count()) === 1, await verdicts.innerText());
    await h.axe('playground');
    await h.inBothThemes('playground');
    h.refusals = true;
    await page.getByLabel('Manifests').fill('a: [');
    await page.getByRole('button', { name: 'Judge' }).click();
    await page.getByRole('alert').getByText(/line 1/).waitFor();
    h.refusals = false;
  });
}
