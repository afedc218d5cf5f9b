my %h; for my $i (1..150000) { $h{"key $i"} = [$i, "value" x ($i % 7)] } my $n = 0;
for my $k (sort keys %h) { $n += length $h{$k}[1]; delete $h{$k} if $n % 3 }
for (1..6) { my $p = fork; if (!$p) { $h{$_} = [1, "z" x 100] for 1..20000; exit 0 } } 1 while wait > 0; print "$n\n";
