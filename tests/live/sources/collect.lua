local t = {} for i = 1, 400000 do t[i % 30000] = { i, "s" .. i } if i % 100000 == 0 then collectgarbage() end end
print(#t, collectgarbage("count") > 0)
