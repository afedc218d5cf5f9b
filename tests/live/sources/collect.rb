kept = []; 300000.times { |i| s = "text #{i}"; kept << [i, s] if i % 10 == 0 }
3.times { GC.start; GC.compact if GC.respond_to?(:compact) }
4.times { fork { kept.each { |k| k[1] << "!" }; GC.start; exit! } }; Process.waitall; puts kept.size
