// pictures/pictures.json of a run: what its pictures show.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

const schema = z.looseObject({
  /** The name of the file in the folder `pictures`: no path, and nothing but a picture. */
  file: z.string().regex(/^[^/\\]+\.(jpe?g|png|svg|webp)$/i),
  kind: z.string(),
  title: z.string(),
  alt: z.string(),
  width: z.number(),
  height: z.number(),
});

/** A picture of a run. */
export type Picture = z.infer<typeof schema>;

/** The entries of the index whose files exist; null for what is no index. */
export function picturesOf(folder: string, content: unknown): Picture[] | null {
  if (!Array.isArray(content)) return null;
  return content.flatMap((entry) => {
    const { data } = schema.safeParse(entry);
    return data !== undefined && existsSync(join(folder, "pictures", data.file)) ? [data] : [];
  });
}
