(define (make n) (if (= n 0) '() (cons (make-vector 8 n) (make (- n 1)))))
(let loop ((i 0)) (if (< i 60) (begin (make 8000) (if (= 0 (modulo i 20)) (gc)) (loop (+ i 1)))))
(display "done")
