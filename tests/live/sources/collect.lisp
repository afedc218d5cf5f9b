(let ((kept nil)) (dotimes (i 2000000) (let ((c (list i (make-array 4)))) (when (zerop (mod i 200)) (push c kept))))
(gc :full t) (setf (caar kept) 1) (gc) (print (length kept)))
