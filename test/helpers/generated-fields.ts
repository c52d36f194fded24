/** Field lists at random for the compression: what is in the static table, what repeats, what never does. */
import { STATIC_TABLE } from '../../src/h2/hpack-tables.ts';

const KNOWN = STATIC_TABLE.flatMap((entry) => (entry ? [entry] : []));

/** Up to 15 fields as name, value …: known and unknown names, values that come again and values of any octets up to 1,499. */
export function generateFields(next: (bound: number) => number): string[] {
	const fields: string[] = [];
	for (let count = next(16); count > 0; count--) {
		const known = KNOWN[next(KNOWN.length)];
		const name = known && next(2) === 0 ? known.name : `x-${'name'.repeat(next(3))}${next(25)}`;
		const kind = next(8);
		if (kind === 0) fields.push(name, known?.value ?? '');
		else if (kind < 5) fields.push(name, `value ${next(12)}`);
		else {
			const [lowest, span] = kind === 5 ? [0, 256] : [32, 95];
			const length = kind === 7 ? next(1500) : next(80);
			const octets = Array.from({ length }, () => lowest + next(span));
			fields.push(name, String.fromCharCode(...octets));
		}
	}
	return fields;
}
