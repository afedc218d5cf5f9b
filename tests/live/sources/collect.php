<?php
for ($r = 0; $r < 3; $r++) { $a = []; for ($i = 0; $i < 200000; $i++) $a["k$i"] = [$i, str_repeat("x", $i % 50)];
$o = new stdClass; $o->self = $o; unset($o); gc_collect_cycles(); ksort($a); echo count($a), "\n"; }
