import java.util.*;
public class Main {
    public static void main(String[] a) throws Exception {
        Thread[] threads = new Thread[3];
        for (int t = 0; t < threads.length; t++) {
            threads[t] = new Thread(() -> {
                Map<Integer, String> map = new HashMap<>();
                for (int i = 0; i < 400000; i++) { map.put(i % 20000, "value " + i); if (i % 50000 == 0) System.gc(); }
                System.out.println(map.size());
            });
            threads[t].start();
        }
        for (Thread t : threads) t.join();
    }
}
