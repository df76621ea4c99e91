// Remediation texts are prose, YAML to write, or both: told apart by their lines.

export interface Block {
  kind: 'text' | 'code';
  text: string;
}

const CODE = /^(\s*(-\s|#)|\s*["']?[\w./-]+["']?:(\s|$)|\s{2,}\S|---$)/;

/** The blocks of a text. A single line is code only when nothing but YAML looks like it. */
export function blocks(text: string): Block[] {
  const out: Block[] = [];
  for (const part of text.replace(/\r\n/g, '\n').split(/\n\s*\n/)) {
    const lines = part.split('\n');
    if (!part.trim()) continue;
    const code = lines.length > 1 ? lines.every((line) => CODE.test(line)) : /^[a-zA-Z][\w./-]*:(\s\S+)?$/.test(part);
    const last = out.at(-1);
    if (last?.kind === 'code' && code) last.text += `\n\n${part}`;
    else out.push({ kind: code ? 'code' : 'text', text: part.replace(/\s+$/, '') });
  }
  return out;
}

/** A sentence that ends in a command to run, as both. */
export function withCommand(text: string): { text: string; command: string } {
  const found = /^([\s\S]*?)[;:]? ?\b(?:run|Run it|Render it)(?: and scan the result)?: ([\s\S]+)$/.exec(text);
  return found?.[1] && found[2] ? { text: `${found[1].trim()}.`.replace(/\.\.$/, '.'), command: found[2].trim() } : { text, command: '' };
}
