/** What /api says of requests. Times are milliseconds. Texts that applications chose are cut where they are long. */

export interface RequestStatus {
	/** As in the log and in X-Request-Id. */
	readonly id: string;
	/** `waiting` for a worker; `sent` to an agent, without an answer yet; `answering`, its response has begun. */
	readonly state: 'waiting' | 'sent' | 'answering';
	readonly method: string;
	/** Without the query. */
	readonly path: string;
	/** The protocol that it asks to switch to. */
	readonly upgrade?: string | undefined;
	/** That its agent must have; with commas, one of them. */
	readonly scope?: string | undefined;
	/** The application's. */
	readonly address: string;
	/** Name of its API key. */
	readonly key?: string | undefined;
	/** RFC 9218: 0 goes first, 7 last. */
	readonly urgency: number;
	/** Id of the agent that has it. */
	readonly agent?: string | undefined;
	/** Of the response that has begun. */
	readonly status?: number | undefined;
	/** Since it arrived. */
	readonly age: number;
	/** In the queue, until now. */
	readonly waited: number;
	/** How many waited when it began to, itself included; none if it did not have to. */
	readonly position?: number | undefined;
}

export type RecentRequest = Omit<RequestStatus, 'state' | 'age' | 'urgency'> & {
	/** RFC 3339, in UTC. */
	readonly began: string;
	/** `complete`, `cut` after its response had begun, `app_gone`, or the code of an error. */
	readonly outcome: string;
	/** Why it was cut or failed. */
	readonly reason?: string | undefined;
	/** From its arrival to its end. */
	readonly total: number;
};

/** Longest first, or those that are served next first; `total` counts those that are left out too. */
export interface RequestList {
	readonly total: number;
	readonly requests: readonly RequestStatus[];
}
