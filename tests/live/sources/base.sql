pragma mmap_size = 33554432; pragma journal_mode = wal; create table t(a integer primary key, b text, c text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 60000)
insert into t select i, hex(randomblob(20)), 'text ' || i from n;
create index tb on t(b); select count(*) from t x join t y on x.b < y.b where x.a < 30 and y.a < 3000;
delete from t where a % 3 = 0; vacuum; select sum(length(b)) from t;
