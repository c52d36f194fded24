/** h2spec, the conformance suite for HTTP/2 servers: run against an address, its report as a list of cases. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { locateProgram, RunningPeer } from './peer-process.ts';

export interface ConformanceCase {
	/** As `http2/6.9.1`, `generic/3.1` or `hpack/4.2`: a section of the RFC, but for `generic`. */
	readonly section: string;
	readonly title: string;
	readonly outcome: 'passed' | 'skipped' | 'failed';
	/** What was expected and what came, if it failed. */
	readonly detail: string;
}

/** Seconds that a case waits for an answer; a case that needs none of them ends as soon as it has its answer. */
const ANSWER_SECONDS = '5';

/**
 * Runs every case in strict mode.
 * @param fieldBytes length of the fields by which it makes sections large; five of them have to be more than a frame may hold
 */
export async function runH2spec(
	context: TestContext,
	port: number,
	fieldBytes: number,
	tls = false,
): Promise<ConformanceCase[]> {
	const program =
		locateProgram('h2spec') ??
		assert.fail(
			'h2spec is missing: (cd .ci/h2spec && go install github.com/summerwind/h2spec/cmd/h2spec), its folder on PATH',
		);
	const dir = await mkdtemp(join(tmpdir(), 'h2spec-'));
	try {
		const report = join(dir, 'report.xml');
		const target = ['-h', '127.0.0.1', '-p', String(port)];
		const limits = ['--max-header-length', String(fieldBytes), '-o', ANSWER_SECONDS];
		const args = ['--strict', ...(tls ? ['--tls', '--insecure'] : []), ...target, ...limits, '-j', report];
		const run = await new RunningPeer(context, program, args).done;
		// It exits 1 when a case failed, which the report tells in more words.
		assert.ok(run.code === 0 || run.code === 1, `h2spec exited with ${run.code}: ${run.stderr}${run.stdout}`);
		return readReport(await readFile(report, 'utf8'));
	} finally {
		await rm(dir, { recursive: true });
	}
}

/** The cases of a JUnit report as h2spec writes it: a `testcase` element each, with `failure`, `error` or `skipped` in it. */
export function readReport(xml: string): ConformanceCase[] {
	return [...xml.matchAll(/<testcase ([^>]*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g)].map(
		([, attributes = '', inner = '']) => {
			const problem = /<(failure|error|skipped)\b/.exec(inner)?.[1];
			return {
				section: attribute(attributes, 'package'),
				title: attribute(attributes, 'classname'),
				outcome: problem === undefined ? 'passed' : problem === 'skipped' ? 'skipped' : 'failed',
				detail: unescapeXml(inner.replace(/<[^>]*>/g, '\n')).trim(),
			};
		},
	);
}

function attribute(attributes: string, name: string): string {
	const value = new RegExp(`\\b${name}="([^"]*)"`).exec(attributes)?.[1];
	return unescapeXml(value ?? assert.fail(`a case without ${name}: ${attributes}`));
}

const entities: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

function unescapeXml(text: string): string {
	return text.replace(/&(?:#(\d+)|#x([0-9A-Fa-f]+)|(\w+));/g, (whole, decimal, hex, name) => {
		if (decimal !== undefined) return String.fromCodePoint(Number(decimal));
		return hex !== undefined ? String.fromCodePoint(Number.parseInt(hex, 16)) : (entities[name] ?? whole);
	});
}
