let () = for r = 1 to 10 do
  let h = Hashtbl.create 16 in for i = 0 to 40000 do Hashtbl.replace h (i mod 9000) (string_of_int i) done;
  if r mod 3 = 0 then Gc.compact (); if r = 10 then print_int (Hashtbl.length h) done
