"""An exec API of one pod without a shell, over plain HTTP: ws-exec.py SUBPROTOCOL. Prints its port.

It stands in for clusters that speak v5.channel.k8s.io, which the node of the tests (1.20) does not:
/bin/sh is not found, /cat gives its stdin back until that is closed by channel 255. What was offered and
how stdin ended goes to stderr, a line for each exec."""
import base64
import hashlib
import json
import socketserver
import sys
from urllib.parse import parse_qs, urlparse

protocol = sys.argv[1]
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Exec(socketserver.StreamRequestHandler):
    def send(self, channel, data, opcode=2):
        data = (bytes([channel]) if opcode == 2 else b"") + data
        head = bytes([0x80 | opcode])
        head += bytes([len(data)]) if len(data) < 126 else b"\x7e" + len(data).to_bytes(2, "big")
        self.wfile.write(head + data)

    def receive(self):
        first, second = self.rfile.read(2)
        length = second & 127
        if length > 125:
            length = int.from_bytes(self.rfile.read(2 if length == 126 else 8), "big")
        mask = self.rfile.read(4)
        data = bytes(b ^ mask[i % 4] for i, b in enumerate(self.rfile.read(length)))
        return first & 15, data

    def handle(self):
        target = self.rfile.readline().split()[1].decode()
        headers = {}
        while (line := self.rfile.readline().strip()):
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        digest = hashlib.sha1((headers["sec-websocket-key"] + GUID).encode()).digest()
        self.wfile.write(("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: %s\r\n\r\n"
                          % (base64.b64encode(digest).decode(), protocol)).encode())
        query = parse_qs(urlparse(target).query)
        ending = "nothing"
        if query["command"][0] != "/cat":
            self.send(3, json.dumps({"status": "Failure", "message": "/bin/sh: no such file or directory"}).encode())
        else:
            if query["stdin"] == ["true"]:
                ending = "the connection"
                while True:
                    opcode, data = self.receive()
                    if opcode == 8:
                        break
                    if data[0] == 255:
                        ending = "channel 255 %d" % data[1]
                        break
                    self.send(1, data[1:])
            self.send(3, b'{"status": "Success"}')
        print(headers["sec-websocket-protocol"], "|", query["command"][0], "|", ending, file=sys.stderr, flush=True)
        self.send(0, b"\x03\xe8", 8)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


with Server(("127.0.0.1", 0), Exec) as server:
    print(server.server_address[1], flush=True)
    server.serve_forever()
