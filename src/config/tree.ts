/** Keys as paths, and what they are paths into: `agents[0].token` and `{agents: [{token}]}`. Pure. */

type Branch = { [name: string]: unknown } | unknown[];

/** @param values by keys of the schema, whose numbers in brackets begin at 0 and leave none out */
export function treeOf(values: Iterable<readonly [key: string, value: unknown]>): Record<string, unknown> {
	const root: Record<string, unknown> = {};
	for (const [key, value] of values) {
		const steps = stepsOf(key);
		let branch: Branch = root;
		for (const [index, step] of steps.entries()) {
			const next = steps[index + 1];
			const at = branch as Record<string | number, unknown>;
			if (next === undefined) at[step] = value;
			else at[step] ??= typeof next === 'number' ? [] : {};
			branch = at[step] as Branch;
		}
	}
	return root;
}

/** What stands in a tree at a key; undefined if nothing does. */
export function valueAt(tree: unknown, key: string): unknown {
	let value = tree;
	for (const step of stepsOf(key)) {
		if (typeof value !== 'object' || value === null) return undefined;
		value = (value as Record<string | number, unknown>)[step];
	}
	return value;
}

/** @param steps names, and numbers for what is in a list */
export function keyOf(steps: readonly PropertyKey[]): string {
	return steps
		.map((step, index) => (typeof step === 'number' ? `[${step}]` : `${index ? '.' : ''}${String(step)}`))
		.join('');
}

function stepsOf(key: string): readonly (string | number)[] {
	return key.split('.').flatMap((part) => {
		const [, name = part, number] = /^(.*)\[(\d+)\]$/.exec(part) ?? [];
		return number === undefined ? [name] : [name, Number(number)];
	});
}
