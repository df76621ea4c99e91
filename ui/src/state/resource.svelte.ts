// Something loaded from the server: its data, its error, whether it is on its way.
import { untrack } from 'svelte';
import { Problem } from '../api/client';

export type Load<T> = (signal: AbortSignal) => Promise<T>;

/** Keeps the last good data while newer is on its way, and drops late answers. */
export class Resource<T> {
  data = $state.raw<T>();
  error = $state.raw<Problem>();
  loading = $state(false);
  #load: Load<T> | undefined;
  #abort: AbortController | undefined;

  /** Loads with another function; data of the former question stays until the answer. */
  async use(load: Load<T> | undefined): Promise<void> {
    this.#load = load;
    await this.reload();
  }

  async reload(): Promise<void> {
    this.#abort?.abort();
    const load = this.#load;
    if (!load) return;
    const abort = new AbortController();
    this.#abort = abort;
    this.loading = true;
    try {
      const data = await load(abort.signal);
      if (abort.signal.aborted) return;
      this.data = data;
      this.error = undefined;
    } catch (error) {
      if (abort.signal.aborted) return;
      this.error = asProblem(error);
    } finally {
      if (this.#abort === abort) this.loading = false;
    }
  }

  stop(): void {
    this.#abort?.abort();
  }
}

/** Any thrown thing as a problem with a sentence. */
export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  return new Problem(0, 'console', `The console failed: ${error instanceof Error ? error.message : String(error)}`);
}

/**
 * Loads whenever what `source` reads changes. `source` returns the loading function, or
 * nothing when there is nothing to load. With `every`, loads again while the page is seen.
 */
export function resource<T>(source: () => Load<T> | undefined, every?: () => number): Resource<T> {
  const held = new Resource<T>();
  $effect(() => {
    const load = source();
    untrack(() => void held.use(load));
    return () => held.stop();
  });
  if (every) {
    $effect(() => {
      const ms = every();
      if (ms <= 0) return;
      const timer = setInterval(() => {
        if (document.visibilityState === 'visible' && !held.loading) void held.reload();
      }, ms);
      return () => clearInterval(timer);
    });
  }
  return held;
}
