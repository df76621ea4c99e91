// Short messages at the screen's edge, some with an undo.

export interface Toast {
  id: number;
  kind: 'done' | 'problem';
  text: string;
  undo: (() => void | Promise<void>) | undefined;
}

const SECONDS = { done: 6, undo: 12, problem: 12 };

class Toasts {
  list = $state.raw<Toast[]>([]);
  #next = 1;

  done(text: string, undo?: () => void | Promise<void>): void {
    this.#add({ kind: 'done', text, undo }, undo ? SECONDS.undo : SECONDS.done);
  }

  problem(text: string): void {
    this.#add({ kind: 'problem', text, undo: undefined }, SECONDS.problem);
  }

  drop(id: number): void {
    this.list = this.list.filter((toast) => toast.id !== id);
  }

  #add(toast: Omit<Toast, 'id'>, seconds: number): void {
    const id = this.#next++;
    this.list = [...this.list.slice(-3), { ...toast, id }];
    setTimeout(() => this.drop(id), seconds * 1000);
  }
}

export const toasts = new Toasts();
