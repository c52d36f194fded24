/** What the owner of a connection tells it, and is told by it. */
import type { Duplex } from 'node:stream';
import type { Rate } from './limits.ts';
import type { FieldList } from './protocol.ts';
import type { Session } from './session.ts';
import type { Settings } from './settings.ts';
import type { Stream, StreamHandler } from './stream.ts';
import type { WindowBudget } from './window.ts';

export type Role = 'client' | 'server';

export interface ExtensionFrame {
	/** 0x0a to 0xff. */
	readonly type: number;
	readonly flags: number;
	/** 0 for the connection. */
	readonly streamId: number;
	readonly payload: Buffer;
}

/** What a connection tells its owner. `closed` is the last call and made exactly once. */
export interface SessionHandler {
	/** Server role: a request. Returns who hears the rest of it; or null to refuse it, or when it was answered whole already. */
	stream?(stream: Stream, fields: FieldList, endStream: boolean): StreamHandler | null;
	/** The peer's SETTINGS came and hold from now on; the first time they are its preface. */
	settings?(session: Session, settings: Readonly<Settings>): void;
	/** The peer took note of our SETTINGS. */
	settingsAcknowledged?(session: Session): void;
	/** The peer will take no streams above `lastStreamId`; those have failed already. */
	goaway?(session: Session, lastStreamId: number, code: number, debugData: string): void;
	/**
	 * A frame of a type that RFC 9113 does not define (section 5.5), with at most EXTENSION_PAYLOAD bytes; without this they are all ignored.
	 * Nothing that it says may be needed for the connection to work, for a peer need not know it.
	 */
	extension?(session: Session, frame: ExtensionFrame): void;
	/** All frames of one read from the socket have been told. */
	readDone?(): void;
	/** Whether PING answers must wait until session.releasePings(). */
	holdPings?(): boolean;
	/** A handler threw: its stream was reset, the connection goes on. */
	fault?(session: Session, error: unknown): void;
	/** All streams have failed or ended. `error` is null after a shutdown that both sides agreed on. */
	closed(session: Session, error: Error | null): void;
}

export interface SessionOptions {
	readonly socket: Duplex;
	readonly role: Role;
	readonly handler: SessionHandler;
	/** Bytes that were read from the socket before the session got it. */
	readonly head?: Buffer;
	/** What we announce first; what is left out has the RFC's default. */
	readonly settings?: Partial<Settings>;
	/** Most fields in a section, 1000 if left out. */
	readonly maxFields?: number;
	/** The connection's receive window: at the start (16 MiB) and at most (64 MiB). */
	readonly connectionWindow?: number;
	readonly maxConnectionWindow?: number;
	/** A stream's receive window at most (32 MiB). */
	readonly maxStreamWindow?: number;
	/** Growth of all streams' windows together (64 MiB), within `processBudget` if there is one. */
	readonly windowBudget?: number;
	readonly processBudget?: WindowBudget;
	/** Most bytes handed to the socket and not yet sent (256 KiB); twice as many while it takes large writes at once. */
	readonly unsentLimit?: number;
	/**
	 * While small bodies pass, large ones that queue up on their way are held to what the link takes. PINGs tell: some hundred a second, or
	 * thousands on a fast link, so it is for peers that are known to mind none (false).
	 */
	readonly paced?: boolean;
	/** Streams that may end in a reset without a response (RESET_BUDGET, which is for peers that were authenticated). */
	readonly resetBudget?: Rate;
	/** Frames that carry no part of a message (OVERHEAD_BUDGET). */
	readonly overheadBudget?: Rate;
	/** Milliseconds in which the preface, a frame other than DATA or a header block must be complete (60 s). */
	readonly unfinishedTimeout?: number;
	/** Field names that are sent never-indexed (RFC 7541 section 7.1.3), beside those that arrived so. */
	readonly neverIndexed?: ReadonlySet<string>;
}
