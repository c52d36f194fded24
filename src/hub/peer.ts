/** Who is at the other end of a connection that the hub accepted, found again at its socket. */
import type { Socket } from 'node:net';
import { plainAddress, type TrustedProxies } from '../tunnel/trusted-proxies.ts';

export class Peer {
	/** Plain IP address: the socket's, or what a PROXY header said instead. */
	readonly address: string;
	readonly secure: boolean;
	/** Who is believed besides, when the peer is a trusted proxy; null for strangers. */
	readonly trusted: TrustedProxies | null;
	/** Requests that its connection has brought. */
	requests = 0;

	constructor(address: string, secure: boolean, trusted: TrustedProxies | null) {
		this.address = address;
		this.secure = secure;
		this.trusted = trusted?.includes(address) === true ? trusted : null;
	}

	/** IP address of the application, as far as proxies that are trusted tell it. `fields` is name, value … of a request. */
	client(fields: readonly string[]): string {
		return this.trusted === null ? this.address : this.trusted.client(fields, this.address);
	}
}

const PEER = Symbol('peer');
type Known = Socket & { [PEER]?: Peer };

export function setPeer(socket: Socket, peer: Peer): void {
	(socket as Known)[PEER] = peer;
}

export function peerOf(socket: Socket): Peer {
	return (
		(socket as Known)[PEER] ?? new Peer(plainAddress(socket.remoteAddress ?? 'unknown'), 'encrypted' in socket, null)
	);
}
