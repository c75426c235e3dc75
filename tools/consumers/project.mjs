// @ts-check
// Projects of users: folders outside of this repository, into which the tarballs are installed.
import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";
import { root } from "../check/repository.mjs";

/** What types are checked with: nothing of a package's own types is passed over. */
const strict = { strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false, noImplicitOverride: true };
/** Without what browsers have. */
const node = { target: "es2022", lib: ["es2023", "esnext.disposable"], types: ["node"] };
const bundler = { module: "preserve", moduleResolution: "bundler", noEmit: true };

/** Options of the compiler, by the kind of project. */
export const compilerOptions = {
  nodenext: { ...strict, ...node, module: "nodenext", noEmitOnError: false },
  bundler: { ...strict, ...node, ...bundler },
  page: { ...strict, ...bundler, target: "es2022", lib: ["es2023", "dom", "dom.iterable"], types: [] },
};

/**
 * Runs a program to its end.
 * @param {string} folder where it runs
 * @param {string} program @param {string[]} args
 * @param {NodeJS.ProcessEnv} [env] beside the variables of this process
 * @returns {Promise<string>} what it printed
 * @throws Error with all that it said, if it fails
 */
export async function run(folder, program, args, env = {}) {
  const options = { cwd: folder, env: { ...process.env, ...env }, maxBuffer: 1 << 26 };
  return (await outcome(folder, promisify(execFile)(program, args, options), [program, ...args])).stdout;
}

/** @param {string} folder @param {Promise<{stdout: string, stderr: string}>} ended @param {string[]} words */
const outcome = (folder, ended, words) =>
  ended.catch(({ code, signal, stdout, stderr }) => {
    throw new Error(`${words.join(" ")} in ${folder}: ${signal ?? `exit code ${code}`}\n${stdout}${stderr}`);
  });

/** What a program says that must fail. @param {string} folder @param {string} program @param {string[]} args */
export async function failure(folder, program, args) {
  const ended = run(folder, program, args).then(
    () => "",
    (/** @type {Error} */ error) => error.message,
  );
  const message = await ended;
  if (message === "") throw new Error(`Expected ${[program, ...args].join(" ")} in ${folder} to fail`);
  return message;
}

/** @param {string} folder @param {Record<string, unknown>} files texts, or what is written as JSON, by path */
export function write(folder, files) {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), typeof content === "string" ? content : JSON.stringify(content, null, 2));
  }
}

/** A program of `programs`, as text. @param {string} name */
export const program = (name) => readFileSync(join(root, "tools/consumers/programs", name), "utf8");

/** The tarballs for this platform in a folder. @param {string} folder @returns {string[]} their paths */
export function tarballsIn(folder) {
  const platform = `${process.platform}-${process.arch}`;
  const names = readdirSync(folder).filter((name) => name.endsWith(".tgz"));
  return names
    .filter((name) => !/-(linux|darwin)-/.test(name) || name.includes(platform))
    .map((name) => join(folder, name));
}

/** The package.json in a tarball. @param {string} tarball */
export const manifestIn = (tarball) =>
  JSON.parse(execFileSync("tar", ["-xOzf", tarball, "package/package.json"], { encoding: "utf8" }));

/** The name of the package in a tarball. @param {string} tarball @returns {string} */
export const nameIn = (tarball) => manifestIn(tarball).name;

/**
 * Lays the packages of tarballs into a project without a package manager and a network. What they depend on is linked
 * to that of this repository.
 * @param {string} folder @param {readonly string[]} tarballs
 */
export function unpack(folder, tarballs) {
  const modules = join(folder, "node_modules");
  for (const tarball of tarballs) {
    const place = join(modules, nameIn(tarball));
    mkdirSync(place, { recursive: true });
    execFileSync("tar", ["-xzf", tarball, "-C", place, "--strip-components=1"]);
  }
  for (const name of readdirSync(join(root, "node_modules"))) {
    const place = join(modules, name);
    if (!name.startsWith(".") && !existsSync(place)) symlinkSync(join(root, "node_modules", name), place);
  }
}

/**
 * The public modules of the packages, all imported by one program.
 * @param {string} folder of a project @param {(name: string) => boolean} [wanted]
 */
export function importsOfAll(folder, wanted = () => true) {
  const names = ["rfdetr", "@rfdetr/torch", "@rfdetr/amp"].flatMap((name) => {
    const { exports } = JSON.parse(readFileSync(join(folder, "node_modules", name, "package.json"), "utf8"));
    return Object.keys(exports)
      .filter((path) => !path.endsWith(".json"))
      .map((path) => name + path.slice(1));
  });
  const lines = names
    .filter(wanted)
    .map((name, i) => `import * as m${i} from "${name}";\nconsole.log(Object.keys(m${i}).length);`);
  return `${lines.join("\n")}\n`;
}

/** Compiles a folder with a tsconfig.json. @param {string} folder @param {string} typescript name of the compiler */
export const compile = (folder, typescript = "typescript") =>
  run(folder, process.execPath, [join(findUp(folder), "node_modules", typescript, "bin/tsc"), "-p", "."]);

/** The folder above, or this one, that has node_modules. @param {string} folder @returns {string} */
function findUp(folder) {
  return existsSync(join(folder, "node_modules")) ? folder : findUp(dirname(folder));
}

/** The programs, compiled once in a project. @param {string} project @returns {Promise<string>} their folder */
export async function compiled(project) {
  const folder = join(project, "programs");
  if (existsSync(join(folder, "use.js"))) return folder;
  write(folder, {
    "package.json": { type: "module" },
    "tsconfig.json": { compilerOptions: { ...compilerOptions.nodenext, outDir: "." }, files: ["use.ts"] },
    "use.ts": program("use.ts"),
    "stop.js": program("stop.js"),
  });
  await compile(folder);
  return folder;
}

/** What `programs/use.ts` prints where all is well. */
const expected = { trained: true, evaluated: true, detections: 3, same: true, refused: "ERR_USAGE" };

/**
 * Runs the program of a user, compiled.
 * @param {string} folder @param {string} file @param {string} data
 * @param {{command?: string[], proved?: boolean, quick?: boolean}} [options] `proved` where onnxruntime-node is,
 * `quick` without an evaluation and an export
 */
export async function use(folder, file, data, options = {}) {
  const { command = [process.execPath], proved = false, quick = false } = options;
  const out = join(folder, `out-${basename(command[0])}-${basename(file)}`);
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out);
  const [program, ...args] = command;
  const said = (await run(folder, program, [...args, file, data, out, ...(quick ? ["quick"] : [])])).trim();
  const wanted = JSON.stringify({ ...expected, proved: proved && !quick });
  if (said !== wanted) throw new Error(`Expected ${wanted} of ${file} in ${folder} but received ${said}`);
}
