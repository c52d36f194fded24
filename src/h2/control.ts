/**
 * What concerns the connection and none of its streams: SETTINGS of both sides, PING, connection credit, frames of extensions, and what
 * frames that carry no message may cost (RFC 9113 sections 6.5, 6.7 and 6.9). Owns what both ends agreed on; neither streams nor the
 * connection's life.
 */
import { AnnouncedSettings } from './announced-settings.ts';
import { type ConnectionFrames, protocolError } from './frame-parser.ts';
import { FRAME_BYTES } from './frame-writer.ts';
import { EXTENSION_PAYLOAD, TINY_INCREMENT } from './limits.ts';
import type { Outbound } from './outbound.ts';
import type { PeerBudget } from './peer-budget.ts';
import { type PingAnswered, Pings } from './pings.ts';
import { LAST_FRAME_TYPE } from './protocol.ts';
import type { Receiver } from './receiver.ts';
import type { Session } from './session.ts';
import type { ExtensionFrame, SessionHandler } from './session-handler.ts';
import { applySetting, initialSettings, type Settings, settingPairs } from './settings.ts';

/** PINGs whose answers are held; of more the oldest are dropped. */
const MOST_HELD_PINGS = 64;

export interface ControlOptions {
	readonly handler: SessionHandler;
	readonly outbound: Outbound;
	readonly receiver: Receiver;
	readonly overhead: PeerBudget;
	/** The peer has taken note of these settings of ours. */
	readonly acknowledged: (settings: Partial<Settings>) => void;
	readonly goaway: (last: number, code: number, debugData: string) => void;
}

export class Control implements ConnectionFrames {
	/** What the peer announced. */
	readonly remote: Settings = initialSettings();
	/** What we announced and the peer has acknowledged. */
	readonly local: Settings = initialSettings();
	readonly announced = new AnnouncedSettings();
	readonly pings = new Pings();
	readonly #session: Session;
	readonly #options: ControlOptions;
	#tinyUpdates = 0;
	#heldPings: Buffer[] = [];

	constructor(session: Session, options: ControlOptions) {
		this.#session = session;
		this.#options = options;
	}

	announce(settings: Partial<Settings>): void {
		const { outbound } = this.#options;
		this.announced.announce(settings);
		outbound.frames.settings(settingPairs(settings));
		outbound.schedule();
	}

	/** One announcement is under way at a time; what changes meanwhile goes out together once it is acknowledged. */
	update(settings: Partial<Settings>): void {
		if (this.announced.want(settings)) this.announce(settings);
	}

	/** @returns its number */
	ping(answered?: PingAnswered): number {
		const { outbound } = this.#options;
		outbound.frames.ping(this.pings.send(answered), false);
		outbound.schedule();
		return this.pings.last;
	}

	releasePings(): void {
		const held = this.#heldPings;
		if (held.length === 0) return;
		this.#heldPings = [];
		for (const payload of held) this.#answerPing(payload);
	}

	extension({ type, flags, streamId, payload }: ExtensionFrame): void {
		const { outbound } = this.#options;
		outbound.frames.extension(type, flags, streamId, payload);
		outbound.schedule();
	}

	/** The connection is over: nobody is answered, and nobody answers. */
	stop(): void {
		this.pings.clear();
		this.#heldPings = [];
	}

	// ConnectionFrames

	onOverhead(): void {
		this.#options.overhead.spend();
	}

	onWindowUpdate(id: number, increment: number): void {
		const { outbound, overhead, receiver } = this.#options;
		// Some give credit for every DATA frame, however small it is, on its stream and on the connection.
		if (increment < TINY_INCREMENT && ++this.#tinyUpdates > 2 * outbound.dataFrames) overhead.spend();
		if (id !== 0) {
			receiver.onWindowUpdate(id, increment);
			return;
		}
		if (increment === 0) throw protocolError('WINDOW_UPDATE of 0');
		outbound.credit(increment);
	}

	onSettings(buffer: Buffer, start: number, end: number): void {
		const { handler, outbound, receiver } = this.#options;
		const { remote } = this;
		const before = remote.initialWindowSize;
		for (let at = start; at < end; at += 6) {
			applySetting(remote, buffer.readUInt16BE(at), buffer.readUInt32BE(at + 2), this.#session.role === 'client');
		}
		outbound.maxFrameSize = remote.maxFrameSize;
		outbound.encoder.setPeerTableSize(remote.headerTableSize);
		const delta = remote.initialWindowSize - before;
		if (delta !== 0) receiver.shiftSendWindows(delta);
		outbound.frames.settingsAck();
		outbound.schedule();
		handler.settings?.(this.#session, remote);
		outbound.countAnswer(FRAME_BYTES.SETTINGS_ACK);
	}

	onSettingsAck(): void {
		const { acknowledged, handler, receiver } = this.#options;
		const settings = this.announced.acknowledged();
		if (settings === undefined) throw protocolError('SETTINGS acknowledged that were never sent');
		const before = this.local.initialWindowSize;
		Object.assign(this.local, settings);
		acknowledged(settings);
		const delta = this.local.initialWindowSize - before;
		if (delta !== 0) for (const stream of receiver.streams.all()) stream.shiftReceiveWindow(delta);
		const next = this.announced.next();
		if (next !== null) this.announce(next);
		handler.settingsAcknowledged?.(this.#session);
	}

	onPing(payload: Buffer): void {
		if (!this.#options.handler.holdPings?.()) {
			this.#answerPing(payload);
			return;
		}
		if (this.#heldPings.length >= MOST_HELD_PINGS) this.#heldPings.shift();
		this.#heldPings.push(payload);
	}

	onPong(buffer: Buffer, start: number): void {
		this.pings.answered(buffer, start);
	}

	onGoaway(last: number, code: number, debugData: string): void {
		this.#options.goaway(last, code, debugData);
	}

	onExtension(type: number, flags: number, streamId: number, buffer: Buffer, start: number, end: number): void {
		const { handler } = this.#options;
		handler.extension?.(this.#session, { type, flags, streamId, payload: Buffer.from(buffer.subarray(start, end)) });
	}

	#answerPing(payload: Buffer): void {
		const { outbound } = this.#options;
		outbound.frames.ping(payload, true);
		outbound.countAnswer(FRAME_BYTES.PING);
		outbound.schedule();
	}
}

/** @throws RangeError for a type of RFC 9113's own, or a payload that a peer of this kind would not be told */
export function checkExtension({ type, payload }: ExtensionFrame): void {
	if (!(type > LAST_FRAME_TYPE && type <= 0xff) || payload.length > EXTENSION_PAYLOAD) {
		throw new RangeError(`no extension has frames of type ${type} with ${payload.length} bytes`);
	}
}
