/** The command line as it is shipped: what `npm run build` made, which `npm test` does first. */
import assert from 'node:assert/strict';
import { readdirSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const SOURCE = fileURLToPath(new URL('../../src/', import.meta.url));

/** The file that package.json names as `slime`. */
export const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

let checked = false;

/** What is tested by its process has to be what the source says; looked at once. @throws AssertionError if it was built before the last change */
export function assertBuilt(): void {
	if (checked) return;
	const changed = Math.max(
		...readdirSync(SOURCE, { recursive: true, encoding: 'utf8' }).map((name) => statSync(SOURCE + name).mtimeMs),
	);
	const built = statSync(MAIN, { throwIfNoEntry: false })?.mtimeMs ?? 0;
	assert.ok(built >= changed, 'the command line is older than its source: npm run build');
	checked = true;
}
