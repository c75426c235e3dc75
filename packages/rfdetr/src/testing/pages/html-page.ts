// A page as a browser reads it, for tests of what makes HTML.
import { type DefaultTreeAdapterTypes, defaultTreeAdapter, parse } from "parse5";

type Node = DefaultTreeAdapterTypes.Node;
/** An element of a page. */
export type PageElement = DefaultTreeAdapterTypes.Element;

/** Parses HTML by the rules of browsers. @throws Error for what they would have to mend */
export function htmlPage(text: string): HtmlPage {
  const faults: string[] = [];
  const document = parse(text, { onParseError: ({ code, startLine }) => faults.push(`${code} in line ${startLine}`) });
  if (faults.length > 0) throw new Error(`Expected HTML without faults but found ${faults.slice(0, 5).join(", ")}`);
  return new HtmlPage(document);
}

/** The elements of a page. */
export class HtmlPage {
  constructor(readonly root: Node) {}

  /** All elements of these names, in the order of the page; without names all. */
  all(...names: string[]): PageElement[] {
    return [...elements(this.root)].filter(({ tagName }) => names.length === 0 || names.includes(tagName));
  }

  /** The text of the page, or of an element, with single spaces. */
  text(of: Node = this.root): string {
    return [...nodes(of)]
      .flatMap((node) => (defaultTreeAdapter.isTextNode(node) && !isInStyle(node) ? [node.value] : []))
      .join("")
      .replace(/\s+/g, " ")
      .trim();
  }

  /** The texts of all elements of these names. */
  texts(...names: string[]): string[] {
    return this.all(...names).map((element) => this.text(element));
  }
}

/** An attribute; null where it is missing. */
export const attribute = (element: PageElement, name: string): string | null =>
  element.attrs.find((each) => each.name === name)?.value ?? null;

const isInStyle = ({ parentNode }: DefaultTreeAdapterTypes.TextNode): boolean => parentNode?.nodeName === "style";

function* nodes(of: Node): Generator<Node> {
  yield of;
  if ("childNodes" in of) for (const child of of.childNodes) yield* nodes(child);
}

function* elements(of: Node): Generator<PageElement> {
  for (const node of nodes(of)) if (defaultTreeAdapter.isElementNode(node)) yield node;
}

/** Whether an element stands somewhere inside of another. */
export const isIn = (element: { parentNode: unknown }, ancestor: unknown): boolean => {
  for (let at: { parentNode?: unknown } | null = element; at; at = at.parentNode as typeof at)
    if (at === ancestor) return true;
  return false;
};
