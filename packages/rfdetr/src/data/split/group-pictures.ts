// Which pictures must stay in one split: copies of one picture, and what was taken together.
import { dirname } from "node:path";
import { findDuplicates } from "../check/duplicates.js";

/** A picture to group. */
export interface GroupedPicture {
  /** Path of the file. */
  file: string;
  /** Name in the annotations, with its sub-folders. */
  name: string;
}

/** How pictures are grouped. */
export interface GroupOptions {
  signal?: AbortSignal;
  /** Whether pictures of one sub-folder stay together (default false). */
  folders?: boolean;
  onProgress?: (done: number, total: number) => void;
}

/**
 * Numbers the groups. One group are: near duplicates; copies that Roboflow made of one picture by augmentation, which
 * have the same name before `.rf.`; and with `folders` the pictures of one sub-folder.
 * @returns a group for each picture, from 0
 */
export async function groupPictures(
  pictures: readonly GroupedPicture[],
  { signal, folders = false, onProgress }: GroupOptions = {},
): Promise<number[]> {
  const keys = new Map<string, number[]>();
  const put = (key: string, i: number): void => {
    const members = keys.get(key);
    if (members === undefined) keys.set(key, [i]);
    else members.push(i);
  };
  for (const [i, { file, name }] of pictures.entries()) {
    put(`file ${file}`, i);
    const original = /^(.+)\.rf\.[^/]+$/.exec(name)?.[1];
    if (original !== undefined) put(`original ${original}`, i);
    if (folders) put(`folder ${dirname(name)}`, i);
  }
  const files = pictures.map(({ file }) => ({ file, split: "train" as const }));
  for (const [n, group] of (await findDuplicates(files, { signal, onProgress })).entries())
    for (const { file } of group.files) for (const i of keys.get(`file ${file}`) ?? []) put(`duplicate ${n}`, i);
  return connected(pictures.length, [...keys.values()]);
}

/** Numbers sets that share a member alike. */
function connected(count: number, sets: readonly (readonly number[])[]): number[] {
  const setsOf: number[][] = Array.from({ length: count }, () => []);
  for (const [s, members] of sets.entries()) for (const i of members) setsOf[i].push(s);
  const groups: number[] = Array(count).fill(-1);
  const seen = new Set<number>();
  let next = 0;
  for (let start = 0; start < count; start++) {
    if (groups[start] >= 0) continue;
    const open = [start];
    groups[start] = next;
    for (let i = open.pop(); i !== undefined; i = open.pop())
      for (const s of setsOf[i]) {
        if (seen.has(s)) continue;
        seen.add(s);
        for (const j of sets[s])
          if (groups[j] < 0) {
            groups[j] = next;
            open.push(j);
          }
      }
    next++;
  }
  return groups;
}
