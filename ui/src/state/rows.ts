// Moving along the rows of a list with `j` and `k`: the focus goes from one row's link to the next,
// so that Enter opens it as it opens any link.
import { keys } from './keys.svelte';

/** Binds the keys to the links `[data-row]` of a box until the returned function is called. */
export function moving(box: () => HTMLElement | undefined): () => void {
  const move = (step: number) => {
    const links = [...(box()?.querySelectorAll<HTMLElement>('[data-row]') ?? [])];
    const at = links.indexOf(document.activeElement as HTMLElement);
    const next = links[at < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, at + step))];
    next?.focus({ preventScroll: true });
    next?.closest('tr, li')?.scrollIntoView({ block: 'nearest' });
  };
  return keys.bind([
    { key: 'j', what: 'Next row', run: () => move(1) },
    { key: 'k', what: 'Previous row', run: () => move(-1) },
  ]);
}
