// Keyboard shortcuts: pages bind keys while they are shown; fields and dialogs keep theirs.

import { untrack } from 'svelte';

export interface Shortcut {
  key: string;
  what: string;
  run: () => void;
}

class Keys {
  bound = $state.raw<Shortcut[]>([]);
  #pending = '';
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Binds keys until the returned function is called. `g f` is a sequence. */
  bind(shortcuts: Shortcut[]): () => void {
    // Binding happens inside effects, which must not run again for what they bound themselves.
    untrack(() => (this.bound = [...this.bound, ...shortcuts]));
    return () => untrack(() => (this.bound = this.bound.filter((one) => !shortcuts.includes(one))));
  }

  handle(event: KeyboardEvent): void {
    if (event.defaultPrevented || event.metaKey || event.ctrlKey || event.altKey) return;
    const target = event.target as HTMLElement | null;
    if (target?.closest('input, textarea, select, [contenteditable], dialog, [role="menu"]')) return;
    // Enter and Space on a link or button belong to it.
    if ((event.key === 'Enter' || event.key === ' ') && target?.closest('a, button, summary')) return;
    const typed = this.#pending ? `${this.#pending} ${event.key}` : event.key;
    this.#pending = '';
    clearTimeout(this.#timer);
    const found = this.bound.findLast((one) => one.key === typed);
    if (found) {
      event.preventDefault();
      found.run();
    } else if (this.bound.some((one) => one.key.startsWith(`${typed} `))) {
      this.#pending = typed;
      this.#timer = setTimeout(() => (this.#pending = ''), 900);
    }
  }
}

export const keys = new Keys();
