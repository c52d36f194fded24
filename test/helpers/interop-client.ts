/** The engine in its client role against other people's servers, over TCP or TLS. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import type { TestContext } from 'node:test';
import tls from 'node:tls';
import type { FieldList } from '../../src/h2/protocol.ts';
import { Session, type SessionHandler, type SessionOptions } from '../../src/h2/session.ts';
import type { Settings } from '../../src/h2/settings.ts';
import type { Stream } from '../../src/h2/stream.ts';
import { Recorder } from './h2-peer.ts';

export interface EngineClientOptions extends Omit<SessionOptions, 'socket' | 'role' | 'handler'> {
	/** PEM text of the server's authority; without it no TLS. */
	readonly ca?: string | undefined;
}

export interface Asked {
	readonly stream: Stream;
	readonly recorder: Recorder;
}

/** A connection of the engine to a server that has announced its settings. */
export class EngineClient {
	readonly session: Session;
	/** With what the connection ended: null is a shutdown that both sides agreed on. */
	readonly ended: Promise<Error | null>;
	readonly faults: unknown[] = [];
	readonly goaways: Array<{ last: number; code: number }> = [];
	readonly ready: Promise<void>;
	#acknowledged: () => void = () => {};
	#goneAway: () => void = () => {};

	constructor(socket: net.Socket, options: Omit<EngineClientOptions, 'ca'>) {
		let resolveEnded: (error: Error | null) => void = () => {};
		let resolveReady = () => {};
		this.ended = new Promise((resolve) => {
			resolveEnded = resolve;
		});
		this.ready = new Promise((resolve) => {
			resolveReady = resolve;
		});
		const handler: SessionHandler = {
			settings: () => resolveReady(),
			settingsAcknowledged: () => this.#acknowledged(),
			goaway: (_session, last, code) => {
				this.goaways.push({ last, code });
				this.#goneAway();
			},
			fault: (_session, error) => this.faults.push(error),
			closed: (_session, error) => resolveEnded(error),
		};
		this.session = new Session({ ...options, socket, role: 'client', handler });
	}

	/** @param body null for a request that ends with its headers, undefined for one that stays open */
	ask(method: string, path: string, body?: Buffer | null, trailers?: FieldList): Asked {
		const recorder = new Recorder();
		// Go passes on the trailers that were announced, and no others.
		const announced = trailers ? ['trailer', trailers.filter((_, i) => i % 2 === 0).join(', ')] : [];
		const stream = this.session.request([...request(method, path), ...announced], body === null, recorder);
		if (body) {
			stream.write(body);
			stream.end(trailers);
		}
		return { stream, recorder };
	}

	/** A whole answer of status 200. */
	async get(path: string): Promise<string> {
		const { recorder } = this.ask('GET', path, null);
		await recorder.over;
		assert.equal(recorder.failure, null, path);
		assert.equal(recorder.fields[1], '200', path);
		return recorder.body.toString();
	}

	/** Announces settings; resolves when the server has taken note. */
	async change(settings: Partial<Settings>): Promise<void> {
		this.session.updateSettings(settings);
		while (!this.session.settingsSettled || !this.session.settingsSent) {
			await new Promise<void>((resolve) => {
				this.#acknowledged = resolve;
			});
		}
	}

	/** Resolves at the next GOAWAY, or at once when there was one. */
	async goneAway(): Promise<void> {
		while (this.goaways.length === 0) {
			await new Promise<void>((resolve) => {
				this.#goneAway = resolve;
			});
		}
	}
}

/** The fields of a request of such a kind. */
export function request(method: string, path: string): FieldList {
	return [':method', method, ':scheme', 'http', ':authority', '127.0.0.1', ':path', path];
}

/** Connects; what is left open ends with the test. */
export async function engineClient(
	context: TestContext,
	port: number,
	options: EngineClientOptions = {},
): Promise<EngineClient> {
	const { ca, ...sessionOptions } = options;
	const socket =
		ca === undefined
			? net.connect(port, '127.0.0.1')
			: tls.connect({ port, host: '127.0.0.1', ca, ALPNProtocols: ['h2'], servername: 'localhost' });
	await once(socket, ca === undefined ? 'connect' : 'secureConnect');
	const client = new EngineClient(socket, sessionOptions);
	context.after(() => client.session.destroy());
	await Promise.race([client.ready, client.ended.then((error) => assert.fail(`the server hung up: ${error}`))]);
	return client;
}
