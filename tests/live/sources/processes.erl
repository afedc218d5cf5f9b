F = fun() -> L = lists:seq(1, 100000), lists:foldl(fun(X, A) -> A + X end, 0, lists:reverse(L)) end,
P = self(), [spawn(fun() -> P ! F() end) || _ <- lists:seq(1, 40)], [receive _ -> ok end || _ <- lists:seq(1, 40)], halt().
