// A question, its answer, the records that it cites; and nothing where there is nothing.
import { must } from './harness.mjs';

export async function ask(h) {
  const { page } = h;
  // Against a server without feeds there is nothing to ask.
  if (process.env.BARTIZAN_URL) return;

  await h.step('a question is answered and each sentence leads to its records', async () => {
    await h.open('/ask', '.examples a');
    await h.axe('ask');
    await h.inBothThemes('ask');
    await page.getByLabel('Question').fill('are we affected by the critical xz backdoor?');
    await page.getByLabel('Question').press('Enter');
    await page.getByText('Worded by qwen3-8b').waitFor();
    must(/q=are/.test(page.url()), 'the address does not carry the question');
    must((await page.locator('.sentence').count()) === 4, 'sentences');
    must((await page.locator('.filters .tag').allInnerTexts()).includes('found in what you run'), 'the filter is not shown');
    await page.locator('.sentence').nth(1).getByRole('button').first().click();
    await page.locator('.records li.lit').getByText('CVE-2024-3094', { exact: true }).waitFor();
    await page.getByText('2 sentences were left out').click();
    await page.getByText('a sentence without a citation').waitFor();
    await h.axe('answer');
    await h.inBothThemes('answer');
  });

  await h.step('nothing relevant is said, not covered up', async () => {
    await h.open('/ask?q=how%20do%20I%20bake%20bread', '.nothing');
    must((await page.locator('.sentence').count()) === 0, 'an answer out of nothing');
    await h.inBothThemes('ask-nothing');
  });
}
