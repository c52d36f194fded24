/** The audit log: who did what to the hub or wanted to, and what came of it; a line each. Knows nothing of what is done. */
import type { Logger } from './logger.ts';

export interface AuditEvent {
	/** An agent's handshake, or what an operator asked the admin listener for. */
	readonly event: 'handshake' | 'admin';
	/** Where it came from. */
	readonly address: string;
	/** `ok`, or the code of the error that was answered. */
	readonly outcome: string;
	/** What went wrong. */
	readonly reason?: string | undefined;
	/** What else is known: never a secret, and texts that strangers chose are cut where they are long. */
	readonly [detail: string]: unknown;
}

export class AuditLog {
	readonly #logger: Logger;

	/** Whatever else is logged. */
	constructor(logger: Logger) {
		this.#logger = logger.child({}, { level: 'info' });
	}

	write(event: AuditEvent): void {
		this.#logger.info(event, 'audit');
	}
}
