/** What a hub's admin listener tells, asked as Prometheus does. */
import assert from 'node:assert/strict';
import type { Hub } from '../../src/index.ts';
import { askAdmin } from './admin-api.ts';
import type { Answer } from './stack.ts';

/** One answer of the admin listener. */
export function admin(hub: Hub, path: string, method = 'GET'): Promise<Answer> {
	assert.ok(hub.adminPort !== undefined, 'the hub has an admin listener');
	return askAdmin(hub.adminPort, path, { method });
}

export class Scrape {
	readonly text: string;
	readonly #samples = new Map<string, number>();

	constructor(text: string) {
		this.text = text;
		for (const line of text.split('\n')) {
			const [, series, value] = /^([a-z_]+(?:\{.*\})?) (\S+)$/.exec(line) ?? [];
			if (series === undefined) continue;
			assert.ok(!this.#samples.has(series), `${series} is told once`);
			this.#samples.set(series, Number(value));
		}
	}

	static async of(hub: Hub): Promise<Scrape> {
		const answer = await admin(hub, '/metrics');
		assert.equal(answer.status, 200, answer.body);
		assert.equal(answer.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
		return new Scrape(answer.body);
	}

	/** The number of one series, written as in the text; undefined if it is not told. */
	get(series: string): number | undefined {
		return this.#samples.get(series);
	}

	/** Series that begin so. */
	series(prefix: string): string[] {
		return [...this.#samples.keys()].filter((series) => series.startsWith(prefix));
	}
}
