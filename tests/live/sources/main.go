package main
import ("fmt"; "runtime"; "sync")
func main() {
    var wait sync.WaitGroup
    for g := 0; g < 8; g++ {
        wait.Add(1)
        go func(g int) {
            defer wait.Done()
            kept := map[int][]byte{}
            for i := 0; i < 40000; i++ { kept[i%1000] = make([]byte, 64+i%4000); if i%10000 == 0 { runtime.GC() } }
            fmt.Println(g, len(kept))
        }(g)
    }
    wait.Wait()
}
