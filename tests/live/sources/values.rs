use std::collections::BTreeMap;

fn main() {
    let mut values = BTreeMap::new();
    for i in 0..1000u64 {
        values.insert(i * 7 % 1000, format!("{:?}", vec![i; 3]));
    }
    println!("{}", values.values().map(|s| s.len()).sum::<usize>());
}
