#!/usr/bin/env node
// Starts the binary of the package for this platform. Signals reach it: a Ctrl-C is how a run is stopped in good order.
"use strict";
const { spawn } = require("node:child_process");
const { constants } = require("node:os");
const { isatty } = require("node:tty");

let binary;
try {
  binary = require.resolve(`redrive-${process.platform}-${process.arch}/bin/redrive`);
} catch {
  console.error(
    `redrive: there is no package for ${process.platform} on ${process.arch}, or npm was told to leave out optional ` +
      "dependencies; https://github.com/redrive/redrive says how to build it",
  );
  process.exit(1);
}

const child = spawn(binary, process.argv.slice(2), { stdio: "inherit" });
const terminal = [0, 1, 2].some((descriptor) => isatty(descriptor));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  // A Ctrl-C goes to both of us, and a second one would mean "at once".
  process.on(signal, () => {
    if (signal !== "SIGINT" || !terminal) child.kill(signal);
  });
}
child.on("error", (error) => {
  console.error(`redrive: ${binary} cannot be started: ${error.message}`);
  process.exit(1);
});
child.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
