// SPDX-License-Identifier: MIT
const { Worker } = require("worker_threads"); let done = 0;
for (let i = 0; i < 4; i++) new Worker(`let a = []; for (let i = 0; i < 200000; i++) a.push({ i }); ` +
  `require("worker_threads").parentPort.postMessage(a.length)`, { eval: true }).on("message", n => console.log(n));
