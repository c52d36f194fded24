/** The tables of docs/http2-engine.md, read as they stand there. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { ErrorCode } from '../../src/h2/protocol.ts';
import type { Verdict } from '../../src/h2/stream-state.ts';

const page = readFileSync(new URL('../../docs/http2-engine.md', import.meta.url), 'utf8');

/** Rows of cells of the table whose header row begins with that cell and has the other one somewhere. */
function table(first: string, another: string): string[][] {
	const lines = page.split('\n');
	const at = lines.findIndex((line) => line.startsWith(`| ${first} |`) && line.includes(`| ${another} |`));
	assert.ok(at >= 0, `no table of ${first} and ${another}`);
	const rows: string[][] = [];
	for (let i = at; lines[i]?.startsWith('|'); i++) {
		if (i !== at + 1)
			rows.push(
				(lines[i] as string)
					.split('|')
					.slice(1, -1)
					.map((cell) => cell.trim()),
			);
	}
	return rows;
}

function verdictOf(cell: string): Verdict {
	if (cell === 'accept' || cell === 'ignore') return { do: cell };
	const [what, name = ''] = cell.split(' ');
	const code = ErrorCode[name as keyof typeof ErrorCode];
	assert.ok((what === 'stream' || what === 'connection') && code !== undefined, `no verdict: ${cell}`);
	return { do: what === 'stream' ? 'end-stream' : 'end-connection', code };
}

export interface StatedVerdict {
	readonly state: string;
	/** The name of a frame type, or its number. */
	readonly frame: string;
	readonly verdict: Verdict;
	/** As the page says it. */
	readonly text: string;
}

/** What the page says of every frame whose fate depends on the state. */
export function statedVerdicts(): StatedVerdict[] {
	const [[, ...frames] = [], ...rows] = table('state', 'DATA');
	return rows.flatMap(([state = '', ...cells]) =>
		frames.map((frame, i) => ({ state, frame, text: cells[i] ?? '', verdict: verdictOf(cells[i] ?? '') })),
	);
}

/** What it says of the others. */
export function statelessVerdicts(): Array<Omit<StatedVerdict, 'state'>> {
	const [, ...rows] = table('frame, on the number of a stream', 'verdict');
	return rows.map(([frame = '', text = '']) => ({ frame, text, verdict: verdictOf(text) }));
}

/** The states, and the roles in which each exists. */
export function statedStates(): Array<{ state: string; roles: Array<'client' | 'server'> }> {
	const [, ...rows] = table('state', 'when');
	return rows.map(([state = '', , roles]) => ({
		state,
		roles: roles === 'both' ? ['client', 'server'] : [roles === 'client' ? 'client' : 'server'],
	}));
}
