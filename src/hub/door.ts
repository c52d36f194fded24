/** A listening socket of the hub: takes connections and hands them to whoever serves now. Knows nothing of what is spoken on them. */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { type ListenAddress, listenAt } from '../shared/listen.ts';
import type { Logger } from '../shared/logger.ts';
import type { EndedConnections } from './ended.ts';

/** Connections that may wait to be accepted, as far as the system allows. */
const BACKLOG = 4096;

/** What serves connections. */
export interface Doorkeeper {
	admit(socket: Socket): void;
}

export class Door {
	/** Whom a connection that comes now is given to. */
	keeper: Doorkeeper;
	readonly #server: Server;
	readonly #log: Logger;

	constructor(keeper: Doorkeeper, maxConnections: number, ended: EndedConnections, logger: Logger) {
		this.keeper = keeper;
		this.#log = logger;
		// As node:http has them.
		this.#server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true });
		this.#server.on('connection', (socket: Socket) => this.keeper.admit(socket));
		this.#server.on('drop', (data) => {
			ended.count('too_many', data?.remoteAddress);
			logger.warn('too many connections: one was dropped');
		});
		this.maxConnections = maxConnections;
	}

	/** Most connections that came through this door and are open. */
	set maxConnections(most: number) {
		this.#server.maxConnections = most;
	}

	/** @throws the system's error when the address cannot be listened on, UsageError for a descriptor that is no listening socket */
	async open(where: ListenAddress): Promise<AddressInfo> {
		const address = await listenAt(this.#server, where, BACKLOG);
		this.#server.on('error', (error) => this.#log.error({ err: error }, 'listener'));
		return address;
	}

	/** No new connections; those that came stay. Any number of times. */
	close(): void {
		this.#server.close();
	}
}
