"""A gRPC service and a client of Google's C core, whose messages are bytes.

serve [CERT KEY]            prints its port, and "cancelled" for each call of Hang that was
call HOST:PORT [CA]         asks one thing of every kind and prints what it got, a line of JSON each
refused HOST:PORT           prints the error that it got
"""
import concurrent.futures
import hashlib
import json
import sys
import threading

import grpc

BIG = 8 * 1024 * 1024
OPTIONS = [('grpc.max_receive_message_length', 2 * BIG), ('grpc.max_send_message_length', 2 * BIG)]
SERVICE = 'test.Service'


def say(word):
    sys.stdout.write(word + '\n')
    sys.stdout.flush()


def unary(request, context):
    metadata = dict(context.invocation_metadata())
    context.send_initial_metadata((('echo', metadata.get('echo', '')),))
    context.set_trailing_metadata((('late-bin', b'\x00\xff'),))
    return request


def fail(_request, context):
    context.abort(grpc.StatusCode.NOT_FOUND, 'no such thing: 100 % \u00fcnknown')


def collect(requests, _context):
    return b''.join(requests)


def count(request, _context):
    for i in range(int(request)):
        yield b'message %d' % i


def talk(requests, _context):
    for request in requests:
        yield b'you said ' + request


def hang(_request, context):
    over = threading.Event()
    context.add_callback(over.set)
    yield b'begun'
    over.wait()
    say('cancelled')


def serve(files):
    handlers = grpc.method_handlers_generic_handler(SERVICE, {
        'Unary': grpc.unary_unary_rpc_method_handler(unary),
        'Fail': grpc.unary_unary_rpc_method_handler(fail),
        'Collect': grpc.stream_unary_rpc_method_handler(collect),
        'Count': grpc.unary_stream_rpc_method_handler(count),
        'Talk': grpc.stream_stream_rpc_method_handler(talk),
        'Hang': grpc.unary_stream_rpc_method_handler(hang),
    })
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(8), options=OPTIONS)
    server.add_generic_rpc_handlers((handlers,))
    if files:
        chain, key = (open(name, 'rb').read() for name in files)
        port = server.add_secure_port('127.0.0.1:0', grpc.ssl_server_credentials([(key, chain)]))
    else:
        port = server.add_insecure_port('127.0.0.1:0')
    server.start()
    say(f'port {port}')
    # Until the test is over.
    sys.stdin.read()
    server.stop(0)


def pattern(size):
    return hashlib.shake_128(b'slime').digest(size)


def call(target, ca):
    if ca:
        channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(open(ca, 'rb').read()), options=OPTIONS)
    else:
        channel = grpc.insecure_channel(target, options=OPTIONS)
    path = f'/{SERVICE}/'

    def tell(name, **what):
        say(json.dumps({'name': name, **what}))

    answer, told = channel.unary_unary(path + 'Unary').with_call(b'hello', metadata=(('echo', 'a, b'),), timeout=20)
    late = dict(told.trailing_metadata())
    tell('unary', body=answer.decode(), echo=dict(told.initial_metadata())['echo'], late=late['late-bin'].hex())

    sizes = (0, 1, BIG)
    whole = [channel.unary_unary(path + 'Unary')(pattern(size), timeout=20) == pattern(size) for size in sizes]
    tell('sizes', whole=whole)

    try:
        channel.unary_unary(path + 'Fail')(b'x', timeout=20)
    except grpc.RpcError as error:
        tell('fail', code=error.code().name, details=error.details())

    parts = [pattern(50_000)] * 40
    tell('collect', whole=channel.stream_unary(path + 'Collect')(iter(parts), timeout=20) == b''.join(parts))

    messages = list(channel.unary_stream(path + 'Count')(b'2000', timeout=20))
    tell('count', messages=len(messages), last=messages[-1].decode())

    # Each is said only when the one before was answered.
    answered = threading.Semaphore(1)

    def words():
        for word in (b'one', b'two', b'three'):
            answered.acquire()
            yield word

    said = []
    for answer in channel.stream_stream(path + 'Talk')(words(), timeout=20):
        said.append(answer.decode())
        answered.release()
    tell('talk', said=said)

    responses = channel.unary_stream(path + 'Hang')(b'x')
    first = next(responses)
    responses.cancel()
    tell('cancel', first=first.decode(), code=responses.code().name)

    responses = channel.unary_stream(path + 'Hang')(b'x', timeout=5)
    first = None
    try:
        first = next(responses)
        next(responses)
    except grpc.RpcError as error:
        tell('deadline', first=first.decode(), code=error.code().name)

    channel.close()


def main():
    if sys.argv[1] == 'serve':
        serve(sys.argv[2:])
    elif sys.argv[1] == 'call':
        call(sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None)
    else:
        # What a client makes of an error of the hub.
        try:
            grpc.insecure_channel(sys.argv[2]).unary_unary(f'/{SERVICE}/Unary')(b'x', timeout=20)
        except grpc.RpcError as error:
            trailers = dict(error.trailing_metadata())
            say(json.dumps({'code': error.code().name, 'details': error.details(), 'slime': trailers.get('slime-error')}))


main()
