"""Stands for the part of GitHub's and GitLab's APIs that pipeline/redrive_pipeline.py calls: the files of a pull request and
its comments, in pages, behind a token. Prints its port, then serves until it is ended. GET /state gives what it holds."""

import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

TOKEN = "t0ken"
# More than a page, so that who reads only the first one finds no comment of its own.
comments = [{"id": number, "body": f"nice {number}"} for number in range(1, 131)]
files = ["jobs/orders.toml", "jobs/broken.toml", *[f"docs/{number}.md" for number in range(150)]]
writes = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def respond(self, method):
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        url = urlsplit(self.path)
        if url.path == "/state":
            return self.answer(200, {"comments": comments[130:], "writes": writes})
        if TOKEN not in (self.headers.get("PRIVATE-TOKEN"), (self.headers.get("Authorization") or "").removeprefix("Bearer ")):
            return self.answer(401, {"message": "Bad credentials"})
        query = parse_qs(url.query)
        size, page = int(query.get("per_page", ["30"])[0]), int(query.get("page", ["1"])[0])
        part = slice((page - 1) * size, page * size)
        if method == "GET" and re.fullmatch(r"/repos/o/r/pulls/7/files", url.path):
            return self.answer(200, [{"filename": name, "status": "modified"} for name in files[part]])
        if method == "GET" and re.fullmatch(r"/projects/g%2Fr/merge_requests/7/diffs", url.path):
            return self.answer(200, [{"new_path": name, "deleted_file": False} for name in files[part]])
        if re.fullmatch(r"/repos/o/r/issues/7/comments|/projects/g%2Fr/merge_requests/7/notes", url.path):
            if method == "GET":
                return self.answer(200, comments[part])
            if len(body["body"]) > 65_536:
                return self.answer(422, {"message": "body is too long"})
            comments.append({"id": len(comments) + 1, "body": body["body"]})
            writes.append(f"POST {len(comments)}")
            return self.answer(201, comments[-1])
        one = re.fullmatch(r"/repos/o/r/issues/comments/(\d+)|/projects/g%2Fr/merge_requests/7/notes/(\d+)", url.path)
        if one and method == ("PATCH" if one[1] else "PUT"):
            identity = int(one[1] or one[2])
            comments[identity - 1]["body"] = body["body"]
            writes.append(f"{method} {identity}")
            return self.answer(200, comments[identity - 1])
        return self.answer(404, {"message": "Not Found"})

    def do_GET(self):
        self.respond("GET")

    def do_POST(self):
        self.respond("POST")

    def do_PATCH(self):
        self.respond("PATCH")

    def do_PUT(self):
        self.respond("PUT")

    def log_message(self, *arguments):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
