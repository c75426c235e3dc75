// Python, for its torch and its pip. It is started so that nothing in the current folder is imported.
import { spawnSync } from "node:child_process";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** Where Python runs: no relative path of a variable leads into the user's folder from here. */
export const workingFolder = fileURLToPath(new URL(".", import.meta.url));

/** Interpreters to ask, best first. PYTHON may be a path from the user's folder. */
export function pythons() {
  const named = process.env.PYTHON ? [process.env.PYTHON] : [];
  return [...named, "python3", "python"].map((name) => (name.includes("/") ? resolve(name) : name));
}

/**
 * Arguments that run code without the current folder and the folders of PYTHONPATH, but with the packages that the user
 * installed for himself. @param {string} code
 */
const isolated = (code) => ["-I", "-c", `import site, sys; sys.path.append(site.getusersitepackages()); ${code}`];

/** Arguments that run pip in that way. @param {string[]} args */
export const pip = (args) => [
  ...isolated("import runpy; sys.argv[0] = 'pip'; runpy.run_module('pip', run_name='__main__', alter_sys=True)"),
  ...args,
];

/** @returns {string | null} the torch folder of the active Python, found without importing it */
export function pythonTorch() {
  const code =
    "import importlib.util as u; s = u.find_spec('torch'); print(s.submodule_search_locations[0] if s and s.submodule_search_locations else '')";
  for (const python of pythons()) {
    const asked = spawnSync(python, isolated(code), { encoding: "utf8", cwd: workingFolder });
    if (asked.status === 0 && asked.stdout.trim() !== "") return asked.stdout.trim();
  }
  return null;
}

/** @returns {string | null} a Python whose pip works */
export function pythonWithPip() {
  const works = (python) => spawnSync(python, pip(["--version"]), { stdio: "ignore", cwd: workingFolder }).status === 0;
  return pythons().find(works) ?? null;
}
