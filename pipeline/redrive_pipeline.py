#!/usr/bin/env python3
"""redrive in a pipeline: on a pull request it checks and plans jobs and comments what they would do; after an approval it
applies a plan. Run by action.yml on GitHub and by pipeline/gitlab.yml on GitLab; needs Python 3.8 and `redrive` on the path.

    redrive_pipeline.py plan     every job of $REDRIVE_JOBS
    redrive_pipeline.py apply    the plan $REDRIVE_PLAN

Settings are environment variables: a value from a pull request never becomes part of a shell's command line.

    REDRIVE_JOBS      globs of job files, separated by white space (jobs/*.toml)
    REDRIVE_CHANGED   true: only those that the pull request changes (true)
    REDRIVE_COMMENT   true: comment on the pull request (true)
    REDRIVE_PLANS     where the plans are written (redrive-plans)
    REDRIVE_PLAN      the plan to apply
    REDRIVE_JOURNAL   the journal, as for every command of redrive
    REDRIVE_OPTIONS   further options for `redrive plan` or `redrive apply`, separated by white space
    REDRIVE_TOKEN     what may comment

The exit code is redrive's own; of several jobs the one that asks for most attention.
"""

import glob
import json
import os
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request

# GitHub takes comments of 65,536 characters, and `redrive show` keeps to that. The rest is for the marker and the heading.
COMMENT_LIMIT = 65_536
SECONDS_A_REQUEST = 30


def setting(name, default=""):
    return os.environ.get(f"REDRIVE_{name}", "") or default


def wanted(name):
    return setting(name, "true").lower() in ("true", "1", "yes")


def redrive(*arguments):
    """Runs redrive; what it says on stderr goes to the log of the step."""
    print(f"$ redrive {' '.join(arguments)}", flush=True)
    return subprocess.run(["redrive", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False)


class Nowhere:
    """No pull request: there is nothing to comment on, and nothing that says what changed."""

    def changed(self):
        return None

    def comment(self, marker, body):
        pass


class Forge:
    """What GitHub and GitLab have in common: JSON over HTTP, in pages, with a token."""

    def call(self, method, path, body=None):
        request = urllib.request.Request(
            self.api + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "User-Agent": "redrive", **self.headers},
        )
        with urllib.request.urlopen(request, timeout=SECONDS_A_REQUEST) as answer:
            return json.load(answer)

    def pages(self, path):
        page = 1
        while True:
            items = self.call("GET", f"{path}?per_page=100&page={page}")
            yield from items
            if len(items) < 100:
                return
            page += 1

    def comment(self, marker, body):
        """Writes the comment that begins with the marker, or writes it anew: a second push does not add a second one."""
        text = f"{marker}\n{body}"
        if len(text) > COMMENT_LIMIT:
            text = text[: COMMENT_LIMIT - 100] + "\n\n… The rest is in the summary of the pipeline."
        for comment in self.pages(self.comments):
            if (comment.get("body") or "").startswith(marker):
                return self.call(self.update, self.one(comment["id"]), {"body": text})
        return self.call("POST", self.comments, {"body": text})


class GitHub(Forge):
    update = "PATCH"

    def __init__(self, number):
        self.api = f"{os.environ['GITHUB_API_URL']}/repos/{os.environ['GITHUB_REPOSITORY']}"
        self.headers = {"Authorization": f"Bearer {setting('TOKEN')}", "Accept": "application/vnd.github+json"}
        self.number = number
        self.comments = f"/issues/{number}/comments"

    def one(self, identity):
        return f"/issues/comments/{identity}"

    def changed(self):
        files = self.pages(f"/pulls/{self.number}/files")
        return {file["filename"] for file in files if file.get("status") != "removed"}


class GitLab(Forge):
    update = "PUT"

    def __init__(self, number):
        project = urllib.parse.quote(os.environ["CI_PROJECT_ID"], safe="")
        self.api = f"{os.environ['CI_API_V4_URL']}/projects/{project}/merge_requests/{number}"
        self.headers = {"PRIVATE-TOKEN": setting("TOKEN")}
        self.comments = "/notes"

    def one(self, identity):
        return f"/notes/{identity}"

    def changed(self):
        return {file["new_path"] for file in self.pages("/diffs") if not file.get("deleted_file")}


def forge():
    if os.environ.get("GITHUB_EVENT_PATH"):
        with open(os.environ["GITHUB_EVENT_PATH"], encoding="utf-8") as file:
            number = (json.load(file).get("pull_request") or {}).get("number")
        if number:
            return GitHub(number)
    if os.environ.get("CI_MERGE_REQUEST_IID"):
        return GitLab(os.environ["CI_MERGE_REQUEST_IID"])
    return Nowhere()


def summary(text):
    """GitHub shows it on the page of the run; elsewhere the log has to do."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(text + "\n")
    else:
        print(text, flush=True)


def output(name, value):
    """A result for later steps. The value is ours: a path, a number or an ID, and on one line."""
    path = os.environ.get("GITHUB_OUTPUT")
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"{name}={value}\n")


def fenced(text):
    """As a block that nothing inside can end."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text.rstrip()}\n{fence}"


def plan_one(job, directory):
    """Plans a job. Gives the exit code and what to say of it in Markdown."""
    check = subprocess.run(["redrive", "check", job], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if check.returncode != 0:
        sys.stderr.write(check.stderr)
        return check.returncode, f"### `{job}` is not valid\n\n{fenced(check.stdout + check.stderr)}"
    plan = os.path.join(directory, os.path.splitext(job)[0].replace(os.sep, "-") + ".plan.json")
    command = ["redrive", "plan", job, "--out", plan, "--detailed-exitcode", *setting("OPTIONS").split()]
    print(f"$ {' '.join(command)}", flush=True)
    made = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    sys.stderr.write(made.stderr)
    if made.returncode not in (0, 7):
        return made.returncode, f"### `{job}` could not be planned\n\n{fenced(made.stderr)}"
    shown = redrive("show", plan, "--format", "markdown")
    return made.returncode if shown.returncode == 0 else shown.returncode, shown.stdout


def plan():
    jobs = sorted({job for pattern in setting("JOBS", "jobs/*.toml").split() for job in glob.glob(pattern, recursive=True)})
    place = forge()
    if wanted("CHANGED"):
        changed = place.changed()
        jobs = [job for job in jobs if changed is None or job in changed]
    directory = setting("PLANS", "redrive-plans")
    os.makedirs(directory, mode=0o700, exist_ok=True)
    codes = []
    for job in jobs:
        code, text = plan_one(job, directory)
        codes.append(code)
        summary(text)
        if wanted("COMMENT"):
            try:
                place.comment(f"<!-- redrive plan of {job} -->", text)
            except (urllib.error.URLError, OSError, ValueError) as error:
                # The plan is made and in the summary: a comment that cannot be written is no reason to fail it.
                print(f"redrive: the comment on {job} could not be written: {error}", file=sys.stderr)
    if not jobs:
        print("redrive: no job file is concerned", flush=True)
    output("plans", directory)
    output("would-move", str(7 in codes).lower())
    # 7 says that something would move, which is what a job is for.
    failed = [code for code in codes if code not in (0, 7)]
    return max(failed) if failed else 0


def apply():
    chosen = setting("PLAN")
    if not chosen:
        print("redrive: REDRIVE_PLAN names no plan to apply", file=sys.stderr)
        return 2
    applied = redrive("apply", chosen, "--format", "json", *setting("OPTIONS").split())
    last = applied.stdout.strip().rsplit("\n", 1)[-1]
    try:
        run = json.loads(last).get("run", "")
    except ValueError:
        run = ""
    sys.stdout.write(applied.stdout)
    if run:
        output("run", run)
        summary(redrive("report", run, "--format", "markdown").stdout)
    return applied.returncode


def main():
    commands = {"plan": plan, "apply": apply}
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        print(__doc__, file=sys.stderr)
        return 2
    code = commands[sys.argv[1]]()
    output("exit-code", code)
    return code


if __name__ == "__main__":
    sys.exit(main())
