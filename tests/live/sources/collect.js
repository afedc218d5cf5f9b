// SPDX-License-Identifier: MIT
let kept = []; for (let i = 0; i < 600000; i++) { const o = { i, s: "s" + i, a: [i] }; if (i % 50 == 0) kept.push(o) }
let m = new Map(kept.map(o => [o.s, o])); for (let i = 0; i < 30; i++) Buffer.alloc(1 << 20, i);
if (global.gc) gc(); console.log(m.size);
